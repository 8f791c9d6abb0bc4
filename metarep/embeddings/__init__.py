"""Vectors of networks and of their parts: one module a family of kinds, all in one registry."""
