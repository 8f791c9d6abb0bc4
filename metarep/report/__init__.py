"""Style, text, figures, the page and the map of a run."""
