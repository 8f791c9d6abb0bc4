"""Networks of one-dimensional functions."""
