"""Whether a run of a killed build is whole, and of the same items as are given now."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from haversack.errors import HaversackError
from haversack.packed.build.marks import NoMarkError, mark
from haversack.packed.build.portions import Portion, Recipe
from haversack.packed.build.runs import Part, Run
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.keys import key_bytes
from haversack.packed.encoding.kinds import Kind, as_bytes, make_kind
from haversack.packed.manifests.index import IndexFile
from haversack.packed.manifests.places import chunk_path
from haversack.packed.reading.mapped import open_chunk, reserve


def is_same(root: Path, run: Run, recipe: Recipe, items: list[Any]) -> bool:
    """Tell whether a run's files are whole and it was made of these items.

    Items that are read are compared by their marks, others with the records themselves.
    """
    try:
        chunks = [_whole(root, part) for part in run.parts]
        if not all(chunks):
            return False
        if recipe.read is not None:
            return run.marks is not None and _marks(items) == run.marks
        return _same_records(root, run, recipe, items)
    except (HaversackError, NoMarkError, OSError):
        return False


def _marks(items: list[Any]) -> str:
    digest = blake2b(digest_size=16)
    for item in items:
        digest.update(mark(item))
    return digest.hexdigest()


def _whole(root: Path, part: Part) -> Chunk | None:
    """Open the chunk of a part, None where it is not what the notes say."""
    entry = part.entry
    if chunk_path(root, entry.id).stat().st_size != entry.bytes or entry.deleted:
        return None
    chunk = open_chunk(root, entry, reserve(root, entry.bytes))
    kind = None if entry.shape is None else make_kind(entry.dtype, entry.shape)
    if chunk.uniform != (kind is not None) or (kind and chunk.kinds[0] != kind):
        return None
    if chunk.keyed != bool(entry.keys):
        return None
    IndexFile(root, entry).check()
    return chunk


def _same_records(root: Path, run: Run, recipe: Recipe, items: list[Any]) -> bool:
    held = _held(root, run)
    for portion in recipe.portions(run.first, items):
        numbers = range(portion.first, portion.first + portion.count)
        if [failure.skipped() for failure in portion.failures] != [
            each for each in run.skipped if each.number in numbers
        ]:
            return False
        for row in range(len(portion.kinds)):
            found = next(held, None)
            if found is None or not _same(*found, portion, row):
                return False
    return next(held, None) is None


def _held(root: Path, run: Run) -> Iterator[tuple[Chunk, int, str]]:
    """Go through the rows of a run, with their metadata as JSON."""
    for part in run.parts:
        entry = part.entry
        chunk = open_chunk(root, entry, reserve(root, entry.bytes))
        for row, text in enumerate(IndexFile(root, entry).texts()):
            yield chunk, row, text


def _same(chunk: Chunk, row: int, text: str, portion: Portion, at: int) -> bool:
    key = None if portion.keys[at] is None else key_bytes(portion.keys[at])
    if text != portion.texts[at] or chunk.key_text(row) != key:
        return False
    chunk.check(row)
    payload = bytes(portion.payloads[at])
    mine, theirs = portion.kinds[at], chunk.kind_of(row)
    if mine == theirs:
        return bytes(chunk.payload(row)) == payload
    # A codec that is chosen by looking at the records is not known here.
    return mine.codec == "none" and payload == _decoded(chunk, row, mine, theirs)


def _decoded(chunk: Chunk, row: int, mine: Kind, theirs: Kind) -> bytes | None:
    if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape):
        return None
    out = np.empty(mine.shape, mine.dtype)
    chunk.check(row)
    chunk.decode(row, theirs, out)
    return as_bytes(out).tobytes()
