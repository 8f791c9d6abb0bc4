"""Any network, read in windows: wiring, tokens, windows, the window model."""
