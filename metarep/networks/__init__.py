"""What a subject network is: spec, parameter order, forward pass, symmetries, exact geometry, modes."""
