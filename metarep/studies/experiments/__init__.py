"""The ten experiments, and what they left open."""
