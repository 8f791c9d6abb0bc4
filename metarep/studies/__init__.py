"""Studies: what one is, their registry, their page."""
