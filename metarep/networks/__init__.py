"""What a network is: spec, architecture, forward pass, symmetry groups and how they are read, symmetries."""
