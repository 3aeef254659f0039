"""Floor 3: bring what a catalog names here, whole and exactly once."""
