"""Floor 3: images on disk, kept by place and source, on packed datasets."""

from haversack.disk.dataset import DiskDataset
from haversack.disk.merging import merge_datasets
from haversack.disk.place import is_disk
from haversack.errors import LockTimeoutException

__all__ = ["DiskDataset", "LockTimeoutException", "is_disk", "merge_datasets"]
