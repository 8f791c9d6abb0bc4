"""The ten experiments on how a network multiplies two numbers, and what they left open: one module each."""
