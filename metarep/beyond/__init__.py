"""Beyond tiny whole networks: planted parts, trained wider networks, other architectures, digits, size."""
