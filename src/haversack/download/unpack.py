"""Bring the files that lie inside a catalog archive, or beside a static catalog."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from haversack import events
from haversack.catalog import Catalog
from haversack.catalog.gzipped import GzipFile
from haversack.catalog.source import ArchiveSource
from haversack.catalog.tar import Member
from haversack.download.digest import Digest, of_catalog
from haversack.download.holdings import IfExists
from haversack.download.layout import Layout
from haversack.download.ledger import Ledger
from haversack.download.output import Output
from haversack.download.places import Places
from haversack.errors import FormatError
from haversack.events import Progress
from haversack.storage.names import component, fold

_BLOCK = 1 << 20


def placements(catalog: Catalog, layout: Layout) -> dict[str, Member]:
    """Say where each file of an archive goes: to the place of the asset that names it, or its own.

    Returns
    -------
    dict
        Members by path in the dataset's directory, in the archive's order.
    """
    source = catalog.source
    if not isinstance(source, ArchiveSource) or not source.files:
        return {}
    found = _named_by_assets(catalog, layout, source)
    own = set(map(fold, layout.own()))
    places = Places([*found, *layout.own()])
    named = {member.name for member in found.values()}
    folders = _folders(catalog, layout, source)
    for name, member in source.files.items():
        if name in named:
            continue
        path = _safe(name, folders, posixpath.dirname(catalog.place or ""))
        if fold(path) not in own:  # what we write ourselves replaces what an archive has of it
            found[places.take(path, name)] = member
    return dict(sorted(found.items(), key=lambda entry: entry[1].offset))


def _named_by_assets(catalog: Catalog, layout: Layout, source: ArchiveSource) -> dict[str, Member]:
    found = {}
    for row, path in layout.assets():
        target = catalog.target(row)
        if "://" not in target and (member := source.file(target)) is not None:
            found[path] = member
    return found


def _folders(catalog: Catalog, layout: Layout, source: ArchiveSource) -> dict[str, str]:
    """Map the archive's folders of items and collections that hold files to ours."""
    holding = {posixpath.dirname(name) for name in source.files}
    found = {}
    for row, collection in enumerate(catalog.collections):
        if collection.place is not None:
            found[posixpath.dirname(collection.place)] = layout.collection_folder(row)
    for row in range(len(catalog.items)):
        folder = posixpath.dirname(catalog.items.place[row])
        if folder in holding:
            found.setdefault(folder, layout.item_folder(row))
    return found


def _safe(name: str, folders: dict[str, str], top: str) -> str:
    """Give a file that no asset names its place: in the folder that has become its own's."""
    folder, rest = posixpath.split(name)
    below = [component(rest)]
    while folder and folder != top:
        if folder in folders:
            return "/".join([folders[folder], *reversed(below)])
        folder, part = posixpath.split(folder)
        below.append(component(part))
    return "/".join(reversed(below))


def unpack(
    source: ArchiveSource,
    placed: dict[str, Member],
    output: Output,
    ledger: Ledger,
    if_exists: IfExists,
    progress: Progress = None,
) -> None:
    """Extract files, but for those that are here already, and remember them."""
    title = f"unarchive {source.path.name}"
    with output, events.task(progress, title, total=len(placed), unit="file") as work:
        new = {}
        for path, member in placed.items():
            if not _is_here(output, path, member, if_exists) or (
                if_exists == "sync" and _differs(source, member, ledger, output.root / path)
            ):
                digest = Digest([])
                output.write(path, _hashed(_chunks(source.content, member), digest))
                new[path] = digest.checksum
            work.advance()
        output.commit()
        ledger.add(ledger.entry(output.root / path, checksum) for path, checksum in new.items())


def _is_here(output: Output, path: str, member: Member, if_exists: IfExists) -> bool:
    status = output.status(path)
    if status is None or if_exists == "overwrite":
        return False
    return status.st_size == member.size or if_exists == "skip"


def _differs(source: ArchiveSource, member: Member, ledger: Ledger, path: Path) -> bool:
    """Tell whether a file of an archive is other than what was extracted from it before."""
    known, digest = ledger.whole(path), Digest([])
    for chunk in _chunks(source.content, member):
        digest.update(chunk)
    return known is None or known.checksum != digest.checksum


def copy_file(file: Path, path: str, output: Output, size: int | None, checksum: str | None) -> str:
    """Copy a file of a static catalog here, and give its checksum.

    Raises
    ------
    FormatError
        It has another size or checksum than its catalog says; nothing is published.
    """
    digest = Digest(of_catalog(checksum))
    here = file.stat().st_size
    if size not in {None, here}:
        raise FormatError(f"{file} has {here:,} bytes, not {size:,} as its catalog says")
    output.write(path, _checked(_hashed(_read(file), digest), digest, file))
    return digest.checksum


def _checked(chunks: Iterator[bytes], digest: Digest, file: Path) -> Iterator[bytes]:
    yield from chunks
    if digest.mismatch() is not None:
        raise FormatError(f"{file} disagrees with the checksum in its catalog")


def _hashed(chunks: Iterator[bytes], digest: Digest) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            yield block


def _chunks(content: GzipFile, member: Member) -> Iterator[bytes]:
    for begin in range(0, member.size, _BLOCK):
        yield content.read(member.offset + begin, min(_BLOCK, member.size - begin))
