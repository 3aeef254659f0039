"""``stack_metadata.json`` in all its dialects: what a folder of blocks is the array of."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import (
    FormatError,
    HaversackError,
    IntegrityError,
    NewerFormatError,
    PathNotFoundError,
    UsageError,
)
from haversack.split.blockfiles.block import MOST_AXES, Shape, check_dtype
from haversack.split.directory.about import About, describe
from haversack.split.directory.fields import (
    block_shape,
    full_shape,
    lengths_in,
    padding_in,
    resolution_in,
    shown,
)
from haversack.split.directory.finding import METADATA as SUFFIX
from haversack.split.directory.finding import block_files, metadata_file, prefixes_told
from haversack.split.directory.journal import journal_name
from haversack.split.directory.legacy import document_inside
from haversack.split.directory.remains import has_remains, journals, repair_advice
from haversack.storage.checksum import crc32c
from haversack.storage.looking import exists, is_directory, read_file, state

METADATA = SUFFIX
UNFINISHED = "unfinished.json"
PYRAMID = "haversack_pyramid"  # in the metadata of a level: what it was made of
FORMAT = 1
_MOST_BLOCKS = 10_000_000
_MOST_ELEMENTS = 1 << 58  # of any type, so that numpy can count their bytes
LONGEST_METADATA = 64 << 20


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
    made_of: Any = None

    @property
    def pieces(self) -> int:
        """Number of blocks that begin at one row."""
        pairs = zip(self.shape[1:], self.shape_block[1:], strict=True)
        return math.prod(-(-n // b) for n, b in pairs)


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
    try:
        return _read_stack(folder, prefix)
    except NewerFormatError:
        raise
    except FormatError as error:
        if prefix or is_unfinished(folder) or not has_remains(folder):
            raise
        raise type(error)(f"{error}. {repair_advice(folder)}") from error


def _read_stack(folder: Path, prefix: str) -> Stack:
    # Ours has a directory to itself, which may hold too many files to be listed each time.
    path = folder / (prefix + METADATA)
    document = _load(path) if exists(path) else {}
    if "haversack" not in document:
        found = metadata_file(folder, prefix)
        if found is None:
            return _legacy(folder, prefix)
        path, document = found, _load(found)
        if "haversack" in document and found.name != prefix + METADATA:
            begin = found.name.removesuffix(METADATA)
            raise FormatError(
                f"{folder} holds an array of haversack whose names begin with {begin!r}, not with "
                f"{prefix!r}: give that as its prefix"
            )
        _refuse_if_grown(folder, path)
    return stack_of(document, path)


def _refuse_if_grown(folder: Path, path: Path) -> None:
    """Refuse metadata that does not say that haversack wrote it where frames are in journals."""
    for slab in journals(folder):
        raise FormatError(
            f"{path} is damaged: it does not say that haversack wrote the array, as it did "
            f"{journal_name(slab)} beside it"
        )


def _load(path: Path) -> dict[str, Any]:
    about = state(path)
    if about is not None and about.st_size > LONGEST_METADATA:
        raise FormatError(f"{path} is too large to be the metadata of a split array")
    content = read_file(path)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise FormatError(f"{path} does not describe a split array")
    return document


def is_unfinished(folder: Path) -> bool:
    """Whether an array is still being written block by block, or was left so."""
    return exists(folder / UNFINISHED) and not exists(folder / METADATA)


def stack_of(document: dict[str, Any], path: Path) -> Stack:
    """Take a document for the metadata of an array; raises as :func:`read_stack`."""
    try:
        return _stack(document, path)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, HaversackError):
            raise
        raise FormatError(f"{path} does not describe a split array: {error!r}") from error


def _stack(document: dict[str, Any], path: Path) -> Stack:
    own = document.get("haversack")
    if own is not None:
        _check_own(document, own, path)
    shape = lengths_in(document, "shape_full", path, full_shape)
    block = lengths_in(document, "shape_block", path, lambda given: block_shape(given, shape))
    _check_size(shape, block, path)
    dtype = np.dtype(own["dtype"]) if own else None
    if dtype is not None:
        check_dtype(dtype)
    return Stack(
        shape=shape,
        shape_block=block,
        padding=padding_in(document, len(shape)),
        about=_about(document, own or {}, len(shape), path),
        array=own["array"] if own else "",
        dtype=dtype,
        growable=bool(own and own.get("growable")),
        compression=str((own or {}).get("compression", "blosc")),
        layout=str((own or {}).get("layout", "balanced")),
        made_of=((own or {}).get("metadata") or {}).get(PYRAMID),
    )


def _check_size(shape: Shape, block: Shape, path: Path) -> None:
    """Refuse what is no array, or one that nobody can have, before anything is made of it."""
    if not shape or min(block) < 1:
        raise FormatError(f"{path}: shape_full {shape} and shape_block {block} do not go together")
    if len(shape) > MOST_AXES or math.prod(max(1, n) for n in shape) > _MOST_ELEMENTS:
        raise FormatError(f"{path}: shape_full {shape} is larger than any array")
    if math.prod(max(1, -(-n // b)) for n, b in zip(shape, block, strict=True)) > _MOST_BLOCKS:
        raise FormatError(f"{path}: shape_full {shape} in blocks of {block} is too many blocks")


def _about(document: dict[str, Any], own: dict[str, Any], ndim: int, path: Path) -> About:
    kept = {key: own.get(key) for key in ("axes", "units", "frequency")}
    kept["metadata"] = {k: v for k, v in (own.get("metadata") or {}).items() if k != PYRAMID}
    try:
        return describe(ndim, resolution=resolution_in(document, ndim), **kept)
    except UsageError as error:
        raise FormatError(f"{path} does not describe a split array: {error}") from error


def _check_own(document: dict[str, Any], own: Any, path: Path) -> None:
    if not isinstance(own, dict) or "format" not in own:
        raise FormatError(f"{path}: haversack is {shown(own)}, where a format is to be named")
    found = own["format"]
    if not isinstance(found, int):
        raise NewerFormatError(
            f"{path}: the format that wrote it is {shown(found)}, no number: it was changed by "
            "hand, or a later haversack wrote it (then upgrade haversack)"
        )
    if not 0 < found <= FORMAT:
        raise NewerFormatError(
            f"{path} was written by format {found!r}, this haversack reads up to {FORMAT}: "
            "upgrade haversack"
        )
    if own.get("crc32c") != checksum_of(document):
        raise IntegrityError(f"{path} does not match its checksum: it was changed by hand or decay")


def checksum_of(document: dict[str, Any]) -> str:
    """Work out the checksum of a document that haversack wrote."""
    own = {key: value for key, value in document["haversack"].items() if key != "crc32c"}
    whole = {**document, "haversack": own}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
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
    document["haversack"]["crc32c"] = checksum_of(document)
    return json.dumps(document, indent=1).encode()


def _legacy(folder: Path, prefix: str) -> Stack:
    """Read the metadata that the first releases kept inside of the last block."""
    if exists(folder / UNFINISHED):
        raise FormatError(
            f"{folder} is still being written, or its writer was killed. What EmptySplitDataset "
            "writes opens after finalize(): begin it again with the same arguments, and save the "
            "blocks that are missing. What save_to_split_dataset, map_blocks(to=...) or an import "
            "writes opens when that ends; if it was killed, remove the directory and save again"
        )
    blocks = block_files(folder, prefix)
    if not blocks and journals(folder):
        raise FormatError(
            f"{folder} holds frames in journals, but no {METADATA}: it was lost, and tells what "
            "they are frames of"
        )
    if not blocks:
        named = f" whose names begin with {prefix!r}: {prefixes_told(folder)}" if prefix else ""
        raise FormatError(
            f"{folder} is not a split array: it has neither {METADATA} nor blocks{named}"
        )
    return stack_of(document_inside(folder, blocks), blocks[-1])
