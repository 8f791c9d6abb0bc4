"""What the representations know: baselines, clusters, agreement with labels, probes, transfer, the hand-built scan."""
