"""Neighbouring chunks read as one: the parts that a dataset's positions run through.

Chunks whose records are all of one dtype and shape make a :class:`Uniform` part, all others a
:class:`Mixed` one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from haversack.packed.chunks.reader import Array, Chunk
from haversack.packed.encoding.kinds import Kind, make_kind
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.reading.locate import Positions
from haversack.packed.reading.mixed import Mixed
from haversack.packed.reading.uniform import Uniform
from haversack.storage.maps import ADJACENT, PAGE

_LARGEST_STEP = 1 << 36


class Part(Protocol):
    """Some neighbouring chunks; positions count from the part's first record."""

    entries: Sequence[ChunkEntry]
    starts: list[int]
    rows: int

    def chunk(self, number: int) -> Chunk: ...

    def read(self, position: int) -> Array:
        """Give a record: a read-only view where it can be."""

    def peek(self, position: int) -> Array | None:
        """Give a record, None where it is an image that is not decoded yet."""

    def file(self, position: int) -> Array | None:
        """Give the bytes of an image file that was packed as such, None of other records."""

    def locate(self, positions: Positions) -> Any:
        """Find and check records, for the methods below."""

    def kind(self, located: Any) -> Kind | None:
        """Give the dtype and shape that these records share, None if they differ."""

    def take_into(self, located: Any, out: Array) -> None:
        """Copy records, which share dtype and shape, to rows of ``out``."""

    def copies(self, located: Any) -> list[Array]:
        """Copy records to arrays of their own."""


def make_parts(root: Path, entries: Sequence[ChunkEntry]) -> Iterator[Part]:
    """Cut the chunks of a version into parts."""
    for alike, group in groupby(entries, _alike):
        chunks = list(group)
        if alike is None:
            yield Mixed(root, chunks)
            continue
        kind = make_kind(chunks[0].dtype, chunks[0].shape)
        if math.lcm(PAGE, kind.nbytes) > _LARGEST_STEP or not ADJACENT:
            yield from (Uniform(root, [entry], kind) for entry in chunks)
        else:
            yield Uniform(root, chunks, kind)


def _alike(entry: ChunkEntry) -> tuple[str, list[int]] | None:
    return None if entry.shape is None else (repr(entry.dtype), entry.shape)
