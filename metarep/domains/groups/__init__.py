"""Networks that compose the elements of a finite group: their units have exact labels."""
