"""The four questions of the notes."""
