"""Figures of multipliers."""
