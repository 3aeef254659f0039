"""How fast batches come out: our loader, and DataLoaders over packed datasets and their peers."""
