"""Networks that multiply two numbers: modes, areas, the scan, optima, dynamics."""
