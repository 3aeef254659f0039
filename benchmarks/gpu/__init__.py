"""How fast shuffled batches come to a GPU."""
