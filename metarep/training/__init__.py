"""Engines that train zoos: the reference loop, batched PyTorch, compiled kernels."""
