"""Make the ``.tar.gz`` of a catalog or a collection, the same bytes each time.

Members go from disk through the compressor to disk one by one, so the memory that it takes does not
grow with the catalog.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import weakref
from base64 import b64encode
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from haversack.errors import StorageError
from haversack.server.decode import decode
from haversack.server.documents import Addresses, archived
from haversack.server.index import Dataset, Door
from haversack.server.walk import DOCUMENT
from haversack.storage.names import component

_BLOCK = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)
_KEPT = 32  # archives on disk at once
_DOCUMENTS, _IMAGES = 6, 1  # compression levels

Member = tuple[str, bytes | Path]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """A finished archive: where it lies, and what tells its version."""

    path: Path
    size: int
    etag: str
    md5: str


class Archives:
    """Archives that were asked for, each made once for a state of its dataset and a base URL."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="haversack-archives-"))
        self.close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._made: OrderedDict[Key, tuple[Dataset, Archive]] = OrderedDict()
        self._making: defaultdict[Key, Lock] = defaultdict(Lock)
        self._count = 0

    def get(self, door: Door, addresses: Addresses) -> Archive:
        """Take the archive that a door opens, making it when it is not there."""
        what = (door.kind, door.dataset.id, door.collection.id if door.collection else "")
        key = (*what, addresses.base if door.kind == "catalog" else "")
        with self._making[what]:
            dataset, archive = self._made.get(key, (None, None))
            if dataset is not door.dataset or archive is None:
                archive = self._make(door, addresses)
                self._keep(key, door.dataset, archive)
            self._made.move_to_end(key)
            return archive

    def _make(self, door: Door, addresses: Addresses) -> Archive:
        self._count += 1
        path = self._folder / f"{self._count}-{door.kind}.tar.gz"
        if door.collection is None:
            return write(path, catalog_members(door.dataset, addresses), level=_DOCUMENTS)
        return write(path, collection_members(door), level=_IMAGES)

    def _keep(self, key: Key, dataset: Dataset, archive: Archive) -> None:
        _, old = self._made.pop(key, (None, None))
        self._made[key] = dataset, archive
        if old is None and len(self._made) > _KEPT:
            _, (_, old) = self._made.popitem(last=False)
        if old is not None:
            old.path.unlink(missing_ok=True)


def catalog_members(dataset: Dataset, addresses: Addresses) -> Iterator[Member]:
    """Walk over the documents of a dataset, its assets' addresses absolute."""
    top = component(dataset.id)
    for path in sorted(dataset.tree.documents):
        yield f"{top}/{path}", archived(dataset, path, addresses)


def collection_members(door: Door) -> Iterator[Member]:
    """Walk over the documents and assets of a collection, as they lie on disk."""
    tree, collection = door.dataset.tree, door.collection
    assert collection is not None
    documents = {collection.path, *collection.items.values()}
    assets = set()
    for path in documents:
        document = decode(tree.read(path), DOCUMENT)
        hrefs = (asset.href for asset in (document.assets or {}).values())
        assets |= {target for href in hrefs if (target := tree.find(path, href))}
    for path in sorted(documents | assets):
        whole = tree.file(path)
        if whole is not None:
            yield path, whole


def write(path: Path, members: Iterator[Member], *, level: int) -> Archive:
    """Write a gzipped tar of members; nothing in it depends on when or by whom it is made."""
    with path.open("xb") as file:
        counted = _Counted(file)
        with gzip.GzipFile("", "wb", level, counted, mtime=0) as packed:
            for name, content in members:
                _add(packed, name, content)
            packed.write(_END)
    etag = f'"{counted.sha256.hexdigest()}"'
    return Archive(path, counted.size, etag, b64encode(counted.md5.digest()).decode())


def _add(packed: gzip.GzipFile, name: str, content: bytes | Path) -> None:
    member = tarfile.TarInfo(name)
    if isinstance(content, bytes):
        member.size = len(content)
        packed.write(member.tobuf(tarfile.PAX_FORMAT))
        packed.write(content)
    else:
        member.size = content.stat().st_size
        packed.write(member.tobuf(tarfile.PAX_FORMAT))
        _copy(content, member.size, packed)
    packed.write(bytes(-member.size % tarfile.BLOCKSIZE))


def _copy(path: Path, size: int, packed: gzip.GzipFile) -> None:
    with path.open("rb") as file:
        while size:
            block = file.read(min(size, _BLOCK))
            if not block:
                raise StorageError(f"{path} became shorter while it was read: ask again")
            packed.write(block)
            size -= len(block)


class _Counted:
    """A file that knows the size and the hashes of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.sha256 = sha256()
        self.md5 = md5(usedforsecurity=False)

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self.sha256.update(data)
        self.md5.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
