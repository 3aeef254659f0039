"""DiskDataset: small images by two ids, added and loaded, as their number grows."""
