"""Networks on disk with labels and properties: built or imported."""
