"""Manifests: each is a whole version of a dataset, published by linking the next number."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec

from haversack.errors import (
    ExistsError,
    FormatError,
    IntegrityError,
    PathNotFoundError,
    VersionGoneError,
)
from haversack.packed.chunks.layout import FORMAT, MOST_ROWS, PAYLOADS, Count, refuse_newer
from haversack.packed.encoding.keys import KeyType
from haversack.storage.checksum import crc32c
from haversack.storage.looking import as_path, read_file
from haversack.storage.mend import mended
from haversack.storage.names import component, fold
from haversack.storage.publish import create, names_in

FOLDER: Final = "manifest"
TAGS: Final = "tags"  # a folder of FOLDER
BUILDS: Final = "build"
_FRESH: Final = 2_000_000_000  # nanoseconds; the clocks of file systems tick more often
KEPT: Final = 64  # newest manifests, and the commits that each remembers
_NAME = re.compile(r"(\d{8,18})\.json")
_PREFIX = b'{"crc32c":"%08x",'
_HEAD = len(_PREFIX % 0)
_LONGEST_HEAD = 150  # bytes of a tag in the name of its file, where more must follow

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


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Tell whether a directory is a packed dataset.

    Examples
    --------
    >>> is_packed("no/such/place")
    False
    """
    return bool(numbers(as_path(path)))


def numbers(root: Path) -> list[int]:
    """List the versions whose manifests are there, the newest last."""
    names = names_in(root / FOLDER)
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def unmoved_since(root: Path) -> int | None:
    """Give the time at which the list of versions last changed, in nanoseconds.

    While it stays the same no version was published. None where it is too fresh to tell: a later
    change could bear the same time.
    """
    try:
        changed = (root / FOLDER).stat().st_mtime_ns
    except OSError:
        return None
    return changed if time.time_ns() - changed > _FRESH else None


def manifest_path(root: Path, version: int) -> Path:
    """Name the file of a version."""
    return root / FOLDER / f"{version:08d}.json"


def read_latest(root: Path) -> Manifest | None:
    """Read the current version, None where there is none yet."""
    while found := numbers(root):
        try:
            return read_manifest(root, found[-1])
        except PathNotFoundError:
            continue  # it was pruned between listing and reading, so there is a newer one
    return None


def read_manifest(root: Path, version: int) -> Manifest:
    """Read one version.

    Raises
    ------
    PathNotFoundError
        There is no such version, or it is no longer kept.
    IntegrityError, FormatError, NewerFormatError
        The file is damaged, is no manifest, or was written by a later haversack.
    StorageError
        The disk refuses.
    """
    path = manifest_path(root, version)
    try:
        data = read_file(path)
    except FileNotFoundError as error:
        raise PathNotFoundError(f"{path} does not exist") from error
    manifest = decode(data, path, Manifest)
    if manifest.version != version:
        raise FormatError(f"{path} is the manifest of version {manifest.version}")
    return manifest


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


def missing(root: Path, path: Path, rows: int | None = None) -> Exception:
    """Tell a file that no kept version needs from one that is lost, with so many records."""
    with suppress(FormatError):
        if path.name not in {file.name for kept in kept_manifests(root) for file in files(kept)}:
            return VersionGoneError(
                f"{path} was removed with the version that this dataset was opened at: "
                "call refresh()"
            )
    held = "what it held is" if rows is None else f"its {rows} records are"
    return IntegrityError(f"{path} is missing: {held} lost; `haversack repair` keeps the rest")


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


def tag_path(root: Path, name: str) -> Path:
    """Name the file of a tag: any text becomes one name, on any file system a different one."""
    plain = component(name)
    if (head := fold(plain).lstrip(".")) != plain:  # a dot would make it a temporary
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        plain = f"{head.encode()[:_LONGEST_HEAD].decode(errors='ignore')}%~{digest}"
    return root / FOLDER / TAGS / f"{plain}.json"


def read_tags(root: Path) -> list[Tagged]:
    """Read all tags, by name."""
    while True:
        try:
            found = [decode(read_file(path), path, Tagged) for path in tag_paths(root)]
        except FileNotFoundError:
            continue  # one was removed or moved meanwhile; the version may have another
        return sorted(found, key=lambda tagged: tagged.tag)


def tag_paths(root: Path) -> list[Path]:
    """List the files of all tags."""
    folder = root / FOLDER / TAGS
    names = sorted(name for name in names_in(folder) if name[0] != "." and name.endswith(".json"))
    return [folder / name for name in names]


def kept_manifests(root: Path) -> Iterator[Manifest]:
    """Read all versions that are kept, by their number or by a tag.

    Tags come last: who tags a version looks afterwards whether its manifest was still there, so
    that a listing sees one or the other.
    """
    for version in numbers(root):
        with suppress(PathNotFoundError):  # it was pruned meanwhile
            yield read_manifest(root, version)
    yield from read_tags(root)


def files(manifest: Manifest) -> Iterator[Path]:
    """Name the files of a version, below the dataset's directory."""
    for entry in manifest.chunks:
        yield Path("chunks", f"{entry.id}.chunk")
        yield Path("index", f"{entry.id}.parquet")
        if entry.deleted is not None:
            yield Path("index", f"{entry.id}.{entry.deleted.number}.del")
    if manifest.journal is not None:
        yield Path("journal", f"{manifest.journal}.journal")


def kept_chunks(root: Path) -> set[str]:
    """List the chunks that any version still kept names."""
    return {entry.id for manifest in kept_manifests(root) for entry in manifest.chunks}


def already_there(root: Path) -> ExistsError:
    """Say that a dataset that was to be made exists."""
    return ExistsError(f"{root} is a packed dataset already: choose another path, or append to it")


def commit(
    root: Path, change: Callable[[Manifest], Manifest | None], *, first: bool = False
) -> Manifest:
    """Publish the version that ``change`` makes of the current one, again until it stands.

    ``change`` gets the current manifest and gives its successor, whose number, commit and time are
    set here, or None where there is nothing to publish (the current version is given back); it
    raises where it contradicts what others have committed since. The commit
    counts only when the highest manifest names it: a slow writer could otherwise make anew a
    number that was pruned, and acknowledge what nobody will see. With ``first`` it must be the
    dataset's first version: an ExistsError says that another writer made one.
    """
    commit_id = secrets.token_hex(16)
    while True:
        base = read_latest(root)
        if base is not None and commit_id in base.commits:
            return base
        if first and base is not None:
            raise already_there(root)
        version = 1 if base is None else base.version + 1
        earlier = [] if base is None else base.commits[-(KEPT - 1) :]
        changed = change(base or empty_manifest())
        if changed is None:
            return base or empty_manifest()
        following = msgspec.structs.replace(
            changed,
            version=version,
            commits=[*earlier, commit_id],
            created=utc_now(),
        )
        try:
            create(manifest_path(root, version), encode(following))
        except ExistsError:
            continue
        latest = read_latest(root)
        if latest is not None and commit_id in latest.commits:
            _prune(root, latest.version)
            return following


def _prune(root: Path, version: int) -> None:
    for number in numbers(root):
        if number <= version - KEPT:
            manifest_path(root, number).unlink(missing_ok=True)
