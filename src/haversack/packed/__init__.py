"""Floor 2: many small arrays in a few big chunks, and batches of them.

The file format is told in ``docs/spec/packed-v1.md``. The modules of this folder are what users
meet, and what those are made of; below them are floors, each of which imports those under it alone
(but for the names of types)::

    dataset, query, writer, packing, merging, ...    what users meet
      build      upkeep      batches                 bulk builds; check, compact, repair; training
              writing                                a commit: from records to a new version
              reading                                a version, opened: one row of records
              journal                                small commits, in one file that all share
              manifests                              which chunks make a version; their index files
              chunks                                 one big file of records
              encoding                               arrays, keys and metadata as bytes

``tests/test_house.py`` holds this order. Each folder says which of its modules to read first.
"""

from haversack.packed.batches.loader import Loader
from haversack.packed.build.failures import Skipped
from haversack.packed.dataset import PackedDataset, open_packed, open_snapshot
from haversack.packed.manifests.kept import is_packed
from haversack.packed.merging import merge
from haversack.packed.packing import pack
from haversack.packed.reading.records import Batch, Record
from haversack.packed.reading.versions import Version
from haversack.packed.upkeep.compaction import Compacted, compact
from haversack.packed.upkeep.recovery import Repaired, repair
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
