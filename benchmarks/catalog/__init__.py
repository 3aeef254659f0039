"""How fast, and in how much memory, a large STAC catalog becomes a table that answers questions."""
