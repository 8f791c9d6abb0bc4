"""Networks that others trained: read from their files, kept as a zoo, given back."""
