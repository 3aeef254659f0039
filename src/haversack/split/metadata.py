"""``stack_metadata.json`` in all its dialects: what a folder of blocks is the array of."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from haversack.errors import (
    FormatError,
    HaversackError,
    IntegrityError,
    NewerFormatError,
    PathNotFoundError,
    UsageError,
)
from haversack.split.about import About, describe
from haversack.split.block import Shape, check_dtype
from haversack.split.foreign import open_hdf5
from haversack.storage.checksum import crc32c
from haversack.storage.looking import exists, is_directory, listed, read_file, state

METADATA = "stack_metadata.json"
UNFINISHED = "unfinished.json"
FORMAT = 1
_MOST_BLOCKS = 10_000_000
_LONGEST_METADATA = 64 << 20


def block_name(number: int, n_blocks: int, *, growable: bool = False) -> str:
    """Name a block's file, so that names sort as numbers do: the old package relies on it."""
    digits = 4 if n_blocks <= 10_000 and not growable else 6
    return f"{number:0{digits}d}.h5"


@dataclass(frozen=True, slots=True)
class Stack:
    """What the metadata of a split array says; ``array`` is empty where others wrote it."""

    shape: Shape
    shape_block: Shape
    padding: Shape
    about: About
    array: str
    dtype: np.dtype[Any] | None
    growable: bool = False
    compression: str = "blosc"
    layout: str = "balanced"

    @property
    def pieces(self) -> int:
        """Number of blocks that begin at one row."""
        pairs = zip(self.shape[1:], self.shape_block[1:], strict=True)
        return math.prod(-(-n // b) for n, b in pairs)


def block_files(folder: Path, prefix: str = "") -> dict[int, Path]:
    """Find the files that old readers take for blocks: the last number in the name -> path.

    Raises
    ------
    FormatError
        Two files have the same number.
    """
    found: dict[int, Path] = {}
    for path in listed(folder):
        numbers = re.findall(r"[0-9]+", path.stem)
        if path.suffix != ".h5" or not numbers or not path.name.startswith(prefix):
            continue
        number = int(numbers[-1])
        if number in found:
            raise FormatError(
                f"{folder} holds more than one array ({found[number].name}, {path.name}): "
                "say which one by its prefix"
            )
        found[number] = path
    return found


def read_stack(folder: Path, prefix: str = "") -> Stack:
    """Read what a folder of blocks is.

    Raises
    ------
    PathNotFoundError
        There is no such folder.
    NewerFormatError
        A later haversack wrote it.
    IntegrityError
        The metadata changed since we wrote it.
    FormatError
        It is not a split array, or not yet one.
    """
    if not is_directory(folder):
        if exists(folder):
            raise FormatError(f"{folder} is a file: a split array is a directory of blocks")
        raise PathNotFoundError(f"{folder} does not exist")
    # Ours has a directory to itself, which may hold too many files to be listed each time.
    path = folder / (prefix + METADATA)
    document = _load(path) if exists(path) else {}
    if "haversack" not in document:
        found = _only_metadata(folder, prefix)
        if found is None:
            return _legacy(folder, prefix)
        path, document = found, _load(found)
    try:
        return _stack(document, path)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, HaversackError):
            raise
        raise FormatError(f"{path} does not describe a split array: {error!r}") from error


def _only_metadata(folder: Path, prefix: str) -> Path | None:
    """Find the metadata of the one array in a folder, whatever its name begins with."""
    found = [
        path
        for path in listed(folder)
        if path.name.endswith(METADATA) and path.name.startswith(prefix)
    ]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise FormatError(f"{folder} holds more than one array ({names}): say which by its prefix")
    return found[0] if found else None


def _load(path: Path) -> dict[str, Any]:
    about = state(path)
    if about is not None and about.st_size > _LONGEST_METADATA:
        raise FormatError(f"{path} is too large to be the metadata of a split array")
    try:
        document = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise FormatError(f"{path} does not describe a split array")
    return document


def _stack(document: dict[str, Any], path: Path) -> Stack:
    own = document.get("haversack")
    if own is not None:
        _check_own(document, own, path)
    shape = _lengths(document["shape_full"])
    block = _lengths(document["shape_block"])
    padding = document.get("padding", 0)
    padding = (int(padding),) * len(shape) if np.ndim(padding) == 0 else _lengths(padding)
    if not shape or len(block) != len(shape) or len(padding) != len(shape) or min(block) < 1:
        raise FormatError(f"{path}: shape_full {shape} and shape_block {block} do not go together")
    if math.prod(-(-n // b) for n, b in zip(shape, block, strict=True)) > _MOST_BLOCKS:
        raise FormatError(f"{path}: shape_full {shape} in blocks of {block} is too many blocks")
    dtype = np.dtype(own["dtype"]) if own else None
    if dtype is not None:
        check_dtype(dtype)
    return Stack(
        shape=shape,
        shape_block=block,
        padding=padding,
        about=_about(document, own or {}, len(shape), path),
        array=own["array"] if own else "",
        dtype=dtype,
        growable=bool(own and own.get("growable")),
        compression=str((own or {}).get("compression", "blosc")),
        layout=str((own or {}).get("layout", "balanced")),
    )


def _about(document: dict[str, Any], own: dict[str, Any], ndim: int, path: Path) -> About:
    kept = {key: own.get(key) for key in ("axes", "units", "frequency", "metadata")}
    try:
        return describe(ndim, resolution=_resolution(document, ndim), **kept)
    except UsageError as error:
        raise FormatError(f"{path} does not describe a split array: {error}") from error


def _resolution(document: dict[str, Any], ndim: int) -> Sequence[float]:
    """Take the resolution that is there; others copied theirs from arrays of more or fewer axes."""
    found = list(document.get("resolution") or document.get("voxel_size") or ())
    if len(found) == ndim - 1 and found:
        return found
    return ([1.0] * ndim + found)[-ndim:]


def _lengths(values: Any) -> Shape:
    lengths = tuple(int(value) for value in values)
    if any(not 0 <= n < 1 << 62 for n in lengths) or list(lengths) != list(values):
        raise ValueError(f"{values} are not lengths")
    return lengths


def _check_own(document: dict[str, Any], own: dict[str, Any], path: Path) -> None:
    if own["format"] > FORMAT:
        raise NewerFormatError(
            f"{path} was written by format {own['format']}, this haversack reads up to {FORMAT}: "
            "upgrade haversack"
        )
    if own.get("crc32c") != _checksum(document):
        raise IntegrityError(f"{path} does not match its checksum: it was changed by hand or decay")


def _checksum(document: dict[str, Any]) -> str:
    own = {key: value for key, value in document["haversack"].items() if key != "crc32c"}
    text = json.dumps({**document, "haversack": own}, sort_keys=True, separators=(",", ":"))
    return f"{crc32c(text.encode()):08x}"


def metadata_document(stack: Stack) -> bytes:
    """Serialise the metadata: the old package's keys, and ours beside them."""
    about = stack.about
    own = {"format": FORMAT, "array": stack.array, "dtype": np.dtype(stack.dtype).str}
    kept = {
        "growable": stack.growable,
        "compression": stack.compression,
        "layout": stack.layout,
        "axes": about.axes,
        "units": about.units,
        "frequency": about.frequency,
        "metadata": about.metadata,
    }
    document: dict[str, Any] = {
        "shape_full": stack.shape,
        "shape_block": stack.shape_block,
        "crop_start": [0] * len(stack.shape),
        "crop_end": [0] * len(stack.shape),
        "padding": stack.padding,
        "resolution": about.resolution,
        "axis_order": "tzyx"[-len(stack.shape) :],
        "haversack": {**own, **{key: value for key, value in kept.items() if value}},
    }
    document["haversack"]["crc32c"] = _checksum(document)
    return json.dumps(document, indent=1).encode()


def _legacy(folder: Path, prefix: str) -> Stack:
    """Read the metadata that the first releases kept inside of the last block."""
    if exists(folder / UNFINISHED):
        raise FormatError(
            f"{folder} is still being written, or its writer was killed: it opens after "
            "EmptySplitDataset.finalize(); what save_to_split_dataset left is to be removed"
        )
    blocks = block_files(folder, prefix)
    if not blocks:
        raise FormatError(f"{folder} is not a split array: it has neither {METADATA} nor blocks")
    with open_hdf5(blocks[max(blocks)]) as hdf5:
        linked = isinstance(hdf5.get("stack_metadata", getlink=True), h5py.HardLink)
        group = hdf5["stack_metadata"] if linked else None
        if not isinstance(group, h5py.Group):
            raise FormatError(
                f"{folder} holds {len(blocks)} blocks but no {METADATA}: the program that writes "
                "it may not have finished"
            )
        shape, block = _tuple(group, "full_size"), _tuple(group, "block_size")
    document = {"shape_full": shape, "shape_block": block}
    return _stack(document, blocks[max(blocks)])


def _tuple(group: h5py.Group, name: str) -> list[int]:
    """Read what flammkuchen made of a tuple: a group with attributes i0, i1, ..., or an array."""
    try:
        node = group[name] if name in group else group.attrs[name]
        if isinstance(node, h5py.Group):
            return [int(node.attrs[f"i{i}"]) for i in range(sum(k[0] == "i" for k in node.attrs))]
        return [int(value) for value in node[()]]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{group.file.filename} has no readable {name}: {error}") from error
