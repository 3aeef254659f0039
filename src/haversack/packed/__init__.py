"""Floor 2: many small arrays in a few big chunks, and batches of them.

The file format is told in ``docs/spec/packed-v1.md``.
"""

from haversack.packed.batches import Loader
from haversack.packed.build import Skipped, pack
from haversack.packed.compaction import Compacted, compact
from haversack.packed.dataset import PackedDataset, open_packed, open_snapshot
from haversack.packed.manifest import is_packed
from haversack.packed.merging import merge
from haversack.packed.records import Batch, Record
from haversack.packed.recovery import Repaired, repair
from haversack.packed.versions import Version
from haversack.packed.writer import PackWriter

__all__ = [
    "Batch",
    "Compacted",
    "Loader",
    "PackWriter",
    "PackedDataset",
    "Record",
    "Repaired",
    "Skipped",
    "Version",
    "compact",
    "is_packed",
    "merge",
    "open_packed",
    "open_snapshot",
    "pack",
    "repair",
]
