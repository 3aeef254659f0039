"""Sums, means and the like over arrays that do not fit into memory.

Read ``streaming`` (pieces that fit, each chunk decoded once), ``asking`` (what is asked for) and
``reducing`` (one pass); ``methods`` is how arrays offer it.
"""
