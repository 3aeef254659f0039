"""What damaged metadata still say: all of it, where a bit was flipped; else what makes sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from haversack.errors import UsageError
from haversack.split.blockfiles.block import check_dtype
from haversack.split.chunks.codec import coding_named
from haversack.split.directory.about import About, describe
from haversack.split.directory.fields import block_shape, full_shape, padding_in, resolution_in
from haversack.split.directory.metadata import Stack, checksum_of
from haversack.split.upkeep.assembling import Known

Taken = TypeVar("Taken")
_LONGEST = 4096  # bytes in which a bit is looked for: each is tried


def mended(data: bytes) -> bytes | None:
    """Undo the flip of one bit, which the checksum in the metadata tells from all others.

    Examples
    --------
    >>> from haversack.split.directory.metadata import metadata_document
    >>> about = describe(1)
    >>> good = metadata_document(Stack((6,), (2,), (0,), about, "ab" * 16, np.dtype("u2")))
    >>> mended(good.replace(b"haversack", b"haversabk")) == good
    True
    >>> mended(b"{}") is None
    True
    """
    if len(data) > _LONGEST:
        return None
    tried = bytearray(data)
    for place in range(len(tried)):
        for bit in range(8):
            tried[place] ^= 1 << bit
            if _is_whole(tried):
                return bytes(tried)
            tried[place] ^= 1 << bit
    return None


def _is_whole(data: bytearray) -> bool:
    document = parsed(data)
    own = document.get("haversack")
    return isinstance(own, dict) and own.get("crc32c") == checksum_of(document)


def parsed(data: bytes | bytearray) -> dict[str, Any]:
    """Take what is JSON, and an object; nothing of what is not."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def said_in(document: dict[str, Any], ndim: int) -> Known:
    """Take what a document says of an array, where it makes sense; of 0 axes are not known."""
    own = _own(document)
    shape = _sensible(lambda: full_shape(document["shape_full"]))
    if shape is None or ndim not in {0, len(shape)}:
        return Known()
    block = _sensible(lambda: block_shape(document["shape_block"], shape))
    padding = padding_in(document, len(shape))
    is_padding = document.get("padding") == [*padding] and not own.get("growable")
    return Known(
        shape,
        block if block and min(block) else None,
        padding if is_padding else None,
        _sensible(lambda: _dtype(own["dtype"])),
        is_fixed=bool(own) and not own.get("growable"),
    )


def _sensible(take: Callable[[], Taken]) -> Taken | None:
    try:
        return take()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _dtype(given: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(given)
    check_dtype(dtype)
    return dtype


def described(stack: Stack, document: dict[str, Any]) -> Stack:
    """Complete an array by what a document says beside its shapes, where it makes sense."""
    own = _own(document)
    names = {name: own.get(name) for name in ("compression", "layout")}
    stack = replace(stack, about=_about(document, own, len(stack.shape)))
    try:
        given = {name: value for name, value in names.items() if value is not None}
        found = replace(stack, **given)
        coding_named(found.compression, found.layout)
    except UsageError:
        return stack
    return found


def _own(document: dict[str, Any]) -> dict[str, Any]:
    own = document.get("haversack")
    return own if isinstance(own, dict) else {}


def _about(document: dict[str, Any], own: dict[str, Any], ndim: int) -> About:
    found: dict[str, Any] = {"resolution": resolution_in(document, ndim)}
    for name in ("axes", "units", "frequency", "metadata"):
        try:
            describe(ndim, **{**found, name: own.get(name)})
        except (TypeError, ValueError, OverflowError):
            continue
        found[name] = own.get(name)
    return describe(ndim, **found)
