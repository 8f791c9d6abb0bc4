"""Any network, read in windows: symmetries, tokens, windows, the window model."""
