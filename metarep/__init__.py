"""metarep: what trained networks have learned, from their parameters alone."""

__version__ = "0.1.0"
