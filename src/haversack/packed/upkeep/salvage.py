"""Find what is whole of one chunk and its index file: records, keys, metadata."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from haversack.errors import FormatError, HaversackError, MissingExtraError, StorageError
from haversack.packed.chunks.fileheader import HEADER_SIZE
from haversack.packed.chunks.layout import check_header
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.encoder import Stored
from haversack.packed.encoding.keys import KeyType, key_bytes, key_type
from haversack.packed.encoding.metadata import loads
from haversack.packed.manifests.manifest import ChunkEntry
from haversack.packed.manifests.places import chunk_path, index_path
from haversack.packed.reading.mapped import open_chunk, reserve
from haversack.packed.upkeep.roughchunk import open_roughly
from haversack.packed.writing.copying import key_texts
from haversack.storage.checksum import crc32c
from haversack.storage.damage import Damage
from haversack.storage.looking import read_file
from haversack.storage.mend import mended
from haversack.storage.publish import storage_error

_LONGEST_INDEX: Final = 1 << 20  # that is mended: its pages have checksums of their own


@dataclass(frozen=True, slots=True)
class Index:
    """Metadata and keys of the rows of a chunk; None where they are lost."""

    texts: list[str | None]
    keys: list[bytes | None] | None
    whole: bool  # the file is what the manifest says
    key_type: KeyType | None = None


@dataclass(frozen=True, slots=True)
class Salvage:
    """What is left of a chunk."""

    entry: ChunkEntry
    damaged: list[Path]  # its files that are to be written anew
    chunk: Chunk | None
    rows: list[int]  # those that are whole, and not deleted
    keys: list[bytes | None]  # of all rows
    texts: list[str | None]
    damage: list[Damage]

    @property
    def whole(self) -> bool:
        return not self.damaged

    def records(self) -> Iterator[tuple[Stored, bytes | None, str, Any]]:
        """Give the records as they are stored, and what says that they share a payload.

        Lost metadata are an empty dict.
        """
        assert self.chunk is not None or not self.rows
        for row in self.rows:
            assert self.chunk is not None
            stored = Stored(self.chunk.kind_of(row), self.chunk.payload(row))
            yield stored, self.keys[row], self.texts[row] or "{}", self.chunk.sharing(row)


def examine(root: Path, entry: ChunkEntry, gone: set[int], first: int) -> Salvage:
    """Read a chunk and its index file whole.

    Parameters
    ----------
    gone
        Rows that are deleted.
    first
        The position of its first record in the version.
    """
    index = read_index(index_path(root, entry.id), entry)
    path = chunk_path(root, entry.id)
    chunk, lost, keys, whole = _open(root, entry)
    if index.keys is not None and (keys is None or not whole):
        keys = index.keys
    keys = keys or [None] * entry.rows
    bad = dict(_bad_rows(chunk, entry.rows, lost))
    damage, position = [], first
    rows = []
    for row in range(entry.rows):
        if row in gone:
            continue
        where = f"record {row}{_named(keys[row])}, position {position} of the version"
        if row in bad:
            damage.append(Damage(path, where, bad[row]))
        else:
            rows.append(row)
            if index.texts[row] is None:
                what = "its metadata are lost; the record is kept without any"
                damage.append(Damage(index_path(root, entry.id), where, what))
        position += 1
    unknown = entry.keys - sum(key is not None for key in keys)
    if unknown > 0 and rows:
        what = f"{unknown} keys are lost; the records that had them are kept without one"
        damage.append(Damage(path, "", what))
    damaged = [] if whole and not bad else [path]
    damaged += [] if index.whole else [index_path(root, entry.id)]
    return Salvage(entry, damaged, chunk, rows, keys, index.texts, damage)


def _named(key: bytes | None) -> str:
    return "" if key is None else f" (key {key.decode(errors='replace')!r})"


def _open(
    root: Path, entry: ChunkEntry
) -> tuple[Chunk | None, frozenset[int], list[bytes | None] | None, bool]:
    """Open a chunk, roughly where it is damaged: it, its lost rows, its keys, is it whole."""
    path = chunk_path(root, entry.id)
    try:
        chunk = open_chunk(root, entry, reserve(root, entry.bytes))
        check_header(bytes(chunk.raw[:HEADER_SIZE]), entry.id, path)
        if not len(chunk.blocks.bad()):
            return chunk, frozenset(), _keys_of(chunk), True
    except StorageError:
        raise
    except HaversackError:
        pass
    try:
        rough = open_roughly(path, entry)
    except FileNotFoundError:
        rough = None
    except OSError as error:  # is no damage of ours, and may pass
        raise storage_error("read", path, error) from error
    if rough is None:
        return None, frozenset(), None, False
    keys = rough.keys
    if keys is None:
        with suppress(FormatError):
            keys = _keys_of(rough.chunk)
    return rough.chunk, rough.lost, keys, False


def _keys_of(chunk: Chunk) -> list[bytes | None]:
    for name in ("key_hash", "key_row", "key_end", "key_text") if chunk.keyed else ():
        chunk.section(name)
    return key_texts(chunk, np.arange(chunk.rows))


def _bad_rows(chunk: Chunk | None, rows: int, lost: frozenset[int]) -> Iterator[tuple[int, str]]:
    """List the rows that cannot be trusted, each with the reason."""
    for row in range(rows):
        if chunk is None:
            yield row, "lost with its chunk, which is missing or damaged as a whole"
        elif row in lost:
            yield row, "lost: where it lies is damaged"
        else:
            try:
                chunk.check(row)
                if not chunk.uniform and chunk.kind_of(row).codec != "none":
                    chunk.read(row)
            except MissingExtraError:
                continue  # its bytes are whole; that nothing here decodes them is no damage
            except FormatError as error:
                what = str(error).removeprefix(f"{chunk.path}: ")
                yield row, f"lost: {what}"


# The index file.


def read_index(path: Path, entry: ChunkEntry) -> Index:
    """Read what is whole of an index file, each page by its own checksum."""
    nothing = Index([None] * entry.rows, None, whole=False)
    try:
        data = read_file(path)
    except FileNotFoundError:
        return nothing
    whole = (len(data), crc32c(data)) == (entry.index_bytes, entry.index_crc32c)
    if not whole and len(data) == entry.index_bytes:
        data = mended(data, entry.index_crc32c, longest=_LONGEST_INDEX) or data
    try:
        return _parse(data, entry, whole=whole)
    except (FormatError, OSError, ValueError, MemoryError):  # the last three are pyarrow's
        return nothing


def _parse(data: bytes, entry: ChunkEntry, *, whole: bool) -> Index:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts: list[str | None] = []
    keys: list[bytes | None] = []
    keys_whole = True
    kinds: set[KeyType] = set()
    # Without threads of pyarrow's, here and in _columns: they let go of a Python object after they
    # gave what was read, which aborts the process where the interpreter ends meanwhile.
    source = io.BytesIO(data)
    with pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False) as file:
        if file.metadata.num_rows != entry.rows:
            raise FormatError("an index of another chunk")
        for group in range(file.num_row_groups):
            count = min(file.metadata.row_group(group).num_rows, entry.rows - len(texts))
            columns = _columns(file, group, pa)
            texts += _texts(columns.get("_meta"), count, whole=whole)
            found = columns.get("_key")
            keys_whole = keys_whole and (found is not None or not entry.keys)
            keys += [None] * count if found is None else map(_key, found)
            kinds.update(key_type(key) for key in found or () if key is not None)
    if len(texts) != entry.rows:
        raise FormatError("an index of another chunk")
    kind = kinds.pop() if len(kinds) == 1 else None
    return Index(texts, keys if keys_whole else None, whole, kind)


def _columns(file: Any, group: int, pa: Any) -> dict[str, list[Any]]:
    found = {}
    for name in {"_meta", "_key"}.intersection(file.schema_arrow.names):
        try:
            read = file.read_row_group(group, columns=[name], use_threads=False)
            found[name] = read.column(0).to_pylist()
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            continue
    return found


def _texts(values: list[Any] | None, count: int, *, whole: bool) -> list[str | None]:
    if values is None or len(values) != count:
        return [None] * count
    return [value if whole or _is_metadata(value) else None for value in values]


def _is_metadata(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(loads(value), dict)
    except FormatError:
        return False


def _key(value: Any) -> bytes | None:
    return None if value is None else key_bytes(value)
