"""Beyond networks of the pretrained size."""
