"""The map of a run: one HTML file in which every network is a point."""
