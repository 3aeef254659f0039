"""Packed datasets: many small records, written and read beside the peers and a memmap."""
