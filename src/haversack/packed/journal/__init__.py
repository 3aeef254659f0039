"""The journal: one file to which all writers append small commits, until it becomes a chunk.

Read ``frames`` (its bytes), ``replay`` (what its order means), ``log`` (reading it, and appending
to it) and ``tail`` (its records, as those who read the dataset see them).
"""
