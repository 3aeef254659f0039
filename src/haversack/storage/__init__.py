"""Floor 1: files that survive power loss. It knows nothing of datasets."""
