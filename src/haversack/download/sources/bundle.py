"""Keep the documents of a source as an archive, laid out as the old hub's archives are."""

from __future__ import annotations

import gzip
import logging
import tarfile
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from haversack import events
from haversack.catalog import Filters
from haversack.catalog.stac import decode
from haversack.catalog.table import LOOSE
from haversack.download.access import Access
from haversack.download.origin import Origin, shown
from haversack.download.sources.choose import Source, documents_of, identity, origin_of
from haversack.download.sources.document import (
    Asker,
    Document,
    check_id,
    has_address,
    links_of,
)
from haversack.download.sources.search import narrowing
from haversack.errors import (
    EmptySelectionError,
    EmptySourceError,
    FormatError,
    HaversackError,
    UnexpectedAnswerError,
)
from haversack.events import Progress
from haversack.storage.names import component, fold
from haversack.storage.publish import (
    make_directory,
    storage_error,
    sync_directory,
    temporary_beside,
    writing,
)

SOURCE = "haversack:source"  # a member of the root document: what was asked for
_PUBLIC = "https://1.1.1.1"  # stands for what the user named

log = logging.getLogger("haversack.download")


def bundle(
    source: Source, name: str, archive: Path, filters: Filters, access: Access, progress: Progress
) -> Origin | None:
    """Read a source and write it as an archive; say whose references it holds.

    Raises
    ------
    DownloadError
        The source cannot be read.
    EmptySourceError, EmptySelectionError
        There is nothing in it, or nothing that a search with the filters finds.
    """
    origin = origin_of(source)
    asker = Asker(str(origin) if origin else _PUBLIC, access)
    make_directory(archive.parent)
    temporary = temporary_beside(archive)
    try:
        with (
            writing(temporary) as file,
            events.task(progress, f"read {name}", unit="document") as work,
            _Bundle(file, name) as made,
        ):
            documents, told = documents_of(source, asker, filters)
            for document, parent in documents:
                made.add(document, parent)
                work.advance()
            if made.is_empty:
                raise _nothing(told)
            made.finish({SOURCE: told})
        temporary.replace(archive)
        sync_directory(archive.parent)
    except OSError as error:
        if isinstance(error, ConnectionError) or not error.errno:
            raise
        raise storage_error("write", archive, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return origin


def is_of(root: Document, source: Source, filters: Filters) -> bool | None:
    """Tell whether an archive is of a source, and of a search with these filters if of any.

    None where it is no archive of ours.
    """
    told = root.get(SOURCE)
    if not isinstance(told, dict):
        return None
    asked = {"asked": narrowing(filters)} if "asked" in told else {}
    wanted = msgspec.json.decode(msgspec.json.encode(identity(source) | asked))
    return bool(told == wanted)


def _nothing(told: dict[str, Any]) -> HaversackError:
    """Say that a source has nothing, or nothing of what it was asked for."""
    if told.get("asked"):
        filters = ", ".join(told["asked"])
        return EmptySelectionError(f"{told['url']} finds no item with these filters: {filters}")
    return EmptySourceError(f"{told['url']} is empty: there is no item and no collection in it")


class _Bundle:
    """An archive that is being written."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name, self._top = name, component(name)
        self._packed = gzip.GzipFile("", "wb", 1, file, mtime=0)
        self._folders: dict[str, str] = {}
        self._described: set[str] = set()
        self._taken: dict[str, set[str]] = {}
        self._left_out = 0  # assets

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet."""
        return not self._folders

    def add(self, document: Document, parent: str | None) -> None:
        """Write a collection or an item; its assets without an address are left out.

        Raises
        ------
        UnexpectedAnswerError
            It is not whole STAC.
        """
        place = _place(document, self._name)
        check_id(document, place)
        name: str = document["id"]
        document = self._with_addresses(document, f"{place}: {name}")
        if document.get("type") == "Collection":
            if name not in self._described:
                self._described.add(name)
                self._write(f"{self._folder(name)}/collection.json", document, place)
            return
        collection = document.get("collection")
        collection = collection if isinstance(collection, str) else parent or LOOSE
        folder = self._folder(collection)
        stem = _free(self._taken.setdefault(folder, set()), component(name), document)
        itself = document | {"collection": collection}
        self._write(f"{folder}/{stem}/{stem}.json", itself, place)

    def _with_addresses(self, document: Document, place: str) -> Document:
        assets = document.get("assets")
        if not isinstance(assets, dict):
            return document
        kept = {key: asset for key, asset in assets.items() if has_address(asset)}
        if left := [key for key in assets if key not in kept]:
            # One line for each of a million would hide all others.
            level = logging.DEBUG if self._left_out else logging.WARNING
            log.log(level, "%s: its asset %r has no address (href): left out", place, left[0])
        self._left_out += len(assets) - len(kept)
        return document | {"assets": kept}

    def _folder(self, collection: str) -> str:
        if collection not in self._folders:
            taken = self._taken.setdefault("", {fold("catalog.json")})
            self._folders[collection] = _free(taken, component(collection), {"id": collection})
        return self._folders[collection]

    def finish(self, told: dict[str, Any]) -> None:
        """Write the root, which says where all of it came from."""
        links = [
            {"rel": "child", "href": f"./{self._folders[name]}/collection.json"}
            for name in sorted(self._described)
        ]
        root = {"type": "Catalog", "stac_version": "1.0.0", "id": self._name}
        root |= {"description": self._name, "links": links} | told
        self._write("catalog.json", root, self._name)
        if self._left_out > 1:
            log.warning("%s: %d assets without an address are left out", self._name, self._left_out)
        self._packed.write(bytes(2 * tarfile.BLOCKSIZE))

    def _write(self, path: str, document: Document, place: str) -> None:
        content = msgspec.json.encode(document)
        try:
            decode(content, f"{place}: {document['id']}")
        except FormatError as error:
            raise UnexpectedAnswerError(str(error)) from None
        member = tarfile.TarInfo(f"{self._top}/{path}")
        member.size = len(content)
        self._packed.write(member.tobuf(tarfile.PAX_FORMAT))
        self._packed.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._packed.close()


def _place(document: Document, name: str) -> str:
    """Say where a document came from."""
    return next((shown(link["href"]) for link in links_of(document, "self")), name)


def _free(taken: set[str], name: str, document: Document) -> str:
    if fold(name) in taken:
        digest = sha256(msgspec.json.encode(document) + str(len(taken)).encode()).hexdigest()
        name = f"{name}~{digest[:16]}"
    taken.add(fold(name))
    return name
