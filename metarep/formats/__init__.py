"""One network from a file and back: PyTorch, safetensors, npz, ONNX, and what follows."""
