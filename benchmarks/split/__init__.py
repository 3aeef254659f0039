"""How fast one large array of many files is written and read, by split arrays and their peers."""
