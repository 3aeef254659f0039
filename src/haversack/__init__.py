"""Find imagery datasets, fetch them, pack them, read them at training speed.

The public names are loaded when they are first used, so that importing haversack costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from haversack import client, exceptions, models, session
    from haversack.convert.acumen import load_index, read_from_index, split_into_chunks
    from haversack.disk import DiskDataset, merge_datasets
    from haversack.errors import HaversackError, LockTimeoutException
    from haversack.hub import Collection, Dataset, MLModel, get_session
    from haversack.opening import open as open  # noqa: A004
    from haversack.packed import PackedDataset, PackWriter, Record, pack
    from haversack.split import (
        Blocks,
        EmptySplitDataset,
        FrameWriter,
        SplitDataset,
        save_frames,
        save_to_split_dataset,
    )

__version__ = "0.1.0"

__all__ = [
    "Blocks",
    "Collection",
    "Dataset",
    "DiskDataset",
    "EmptySplitDataset",
    "FrameWriter",
    "HaversackError",
    "LockTimeoutException",
    "MLModel",
    "PackWriter",
    "PackedDataset",
    "Record",
    "SplitDataset",
    "client",
    "exceptions",
    "get_session",
    "load_index",
    "merge_datasets",
    "models",
    "pack",
    "read_from_index",
    "save_frames",
    "save_to_split_dataset",
    "session",
    "split_into_chunks",
]

_PUBLIC = {
    "convert.acumen": ["load_index", "read_from_index", "split_into_chunks"],
    "disk": ["DiskDataset", "merge_datasets"],
    "errors": ["HaversackError", "LockTimeoutException"],
    "hub": ["Collection", "Dataset", "MLModel", "get_session"],
    "opening": ["open"],
    "packed": ["PackWriter", "PackedDataset", "Record", "pack"],
    "split": [
        "Blocks",
        "EmptySplitDataset",
        "FrameWriter",
        "SplitDataset",
        "save_frames",
        "save_to_split_dataset",
    ],
}
_WHERE = {name: f"haversack.{module}" for module, names in _PUBLIC.items() for name in names}
_MODULES = {"client", "exceptions", "models", "session"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"haversack.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'haversack' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE, *_MODULES})
