"""What embeddings are worth: baselines, clusters, agreement, probes, prediction, transfer, neighbours."""
