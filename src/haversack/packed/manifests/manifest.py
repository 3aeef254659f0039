"""What a manifest says of its version: the chunks in order, the journal, keys and columns."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from haversack.errors import FormatError, IntegrityError
from haversack.packed.chunks.fileheader import FORMAT, refuse_newer
from haversack.packed.chunks.layout import MOST_ROWS, PAYLOADS, Count
from haversack.packed.encoding.keys import KeyType
from haversack.storage.checksum import crc32c
from haversack.storage.mend import mended

_PREFIX = b'{"crc32c":"%08x",'
_HEAD = len(_PREFIX % 0)

Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Deletions(msgspec.Struct, frozen=True):
    """The list of a chunk's deleted rows that a version goes by."""

    number: Count
    rows: Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)]
    crc32c: Count


class ChunkEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chunk of a version: its files, and the dtype and shape that all its records share."""

    id: Id
    rows: Annotated[int, msgspec.Meta(ge=0, le=MOST_ROWS)]
    bytes: Count
    trailer: Count
    index_bytes: Count
    index_crc32c: Count
    keys: Count = 0
    dtype: Any = None
    shape: list[Count] | None = None
    deleted: Deletions | None = None

    @property
    def deleted_bytes(self) -> int:
        """Estimate what rewriting the chunk without its deleted rows would save."""
        gone = self.deleted.rows if self.deleted else 0
        return (self.bytes + self.index_bytes) * gone // max(self.rows, 1)


class Manifest(msgspec.Struct, frozen=True):
    """A version: its chunks in order, its journal, and what their keys and metadata are."""

    format: int
    version: Annotated[int, msgspec.Meta(ge=1)]
    commits: list[Id]
    created: str
    chunks: list[ChunkEntry] = []
    key_type: KeyType | None = None
    columns: dict[str, list[str]] = {}
    journal: Id | None = None

    @property
    def rows(self) -> int:
        return sum(c.rows - (c.deleted.rows if c.deleted else 0) for c in self.chunks)


class Tagged(Manifest, frozen=True, kw_only=True):
    """A version that is kept under a name, however many follow."""

    tag: str
    journal_end: Count | None = None  # how many bytes of the journal belong to it


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


class _Head(msgspec.Struct):
    format: int


# Made now: threads that decode a type first at once crash msgspec.
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (_Head, Manifest, Tagged)
}


def decode(data: bytes, path: Path, kind: type[AnyManifest]) -> AnyManifest:
    """Check the bytes of a manifest, or of a tag, and turn them into what they say."""
    if data[:_HEAD] != _PREFIX % crc32c(data[_HEAD:]):
        raise IntegrityError(
            f"{path} is damaged: its text disagrees with its checksum; "
            "`haversack repair` goes on from what is whole"
        )
    try:
        refuse_newer(_DECODERS[_Head].decode(data).format, path)
        manifest: AnyManifest = _DECODERS[kind].decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is not a manifest: {error}") from error
    for chunk in manifest.chunks:
        if chunk.bytes < PAYLOADS + 4 * chunk.rows or chunk.keys > chunk.rows:
            raise FormatError(f"{path}: chunk {chunk.id} cannot have {chunk.rows} records")
        if chunk.keys and manifest.key_type is None:
            raise FormatError(f"{path}: chunk {chunk.id} has keys of no type")
    return manifest


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as JSON whose first member is the crc32c of all bytes after that member."""
    return _with_checksum(msgspec.json.encode(manifest)[1:])


def _with_checksum(rest: bytes) -> bytes:
    return _PREFIX % crc32c(rest) + rest


def mend(data: bytes) -> bytes | None:
    """Undo the change of one byte of a manifest or a tag, if that is all that is wrong with it."""
    again = _with_checksum(data[_HEAD:])
    if sum(one != other for one, other in zip(again[:_HEAD], data, strict=False)) <= 1:
        return again
    try:
        rest = mended(data[_HEAD:], int(data[11:19], 16))
    except ValueError:
        return None
    return None if rest is None else _with_checksum(rest)


def empty_manifest() -> Manifest:
    """Stand for a dataset that has nothing yet; a number and a commit make it a version."""
    return Manifest(format=FORMAT, version=1, commits=[], created=utc_now())


def add_columns(columns: dict[str, list[str]], more: dict[str, str]) -> dict[str, list[str]]:
    """Add a chunk's column types to those of its dataset."""
    joined = {name: list(types) for name, types in columns.items()}
    for name, kind in more.items():
        types = joined.setdefault(name, [])
        if kind not in types:
            types.append(kind)
    return joined


def utc_now() -> str:
    """Give the time as manifests keep it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
