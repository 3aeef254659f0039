"""Compare the files of a catalog with what its documents say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from haversack import events
from haversack.catalog.source import TreeSource
from haversack.catalog.stac import is_absolute
from haversack.catalog.table import UNKNOWN_SIZE
from haversack.events import Progress
from haversack.storage.damage import Damage
from haversack.storage.multihash import is_multihash, read_multihash

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog


def find_damage(catalog: Catalog, progress: Progress = None) -> list[Damage]:
    """Look at every asset that should lie beside the catalog; each file is read once."""
    found = [_of_lost(catalog.path / lost) for lost in catalog.source.lost]
    with events.task(progress, "verify", total=len(catalog.assets), unit="asset") as work:
        for row, target in _files(catalog):
            work.advance(row + 1 - work.done)
            found.extend(_of_file(catalog, row, target))
        work.advance(len(catalog.assets) - work.done)
    return found


def _of_lost(path: Path) -> Damage:
    there = path.exists()
    what = "is not in the catalog's directory" if there else "is missing"
    return Damage(path, "", f"a linked document {what}")


@dataclass(frozen=True, slots=True)
class Compared:
    """How many files a catalog says how much of.

    Attributes
    ----------
    files
        Files of its directory that are here.
    by_size, by_nothing
        Of those, the ones with a size and no checksum that can be read, and with neither.
    """

    files: int
    by_size: int
    by_nothing: int


def count_compared(catalog: Catalog) -> Compared:
    """Count what there is to compare files with; those inside an archive have its own checksum."""
    files = by_size = by_nothing = 0
    for row, target in _files(catalog) if isinstance(catalog.source, TreeSource) else ():
        if catalog.source.size_of(target) is None:
            continue
        files += 1
        if read_multihash(catalog.assets.checksum(row) or "") is None:
            unknown = int(catalog.assets.size[row]) == UNKNOWN_SIZE
            by_nothing += unknown
            by_size += not unknown
    return Compared(files, by_size, by_nothing)


def _files(catalog: Catalog) -> Iterator[tuple[int, str]]:
    """Yield each file that should lie beside the catalog, with the row of its first asset."""
    seen: set[str] = set()
    for row in range(len(catalog.assets)):
        target = catalog.target(row)
        if target not in seen and _should_be_here(catalog, row, target):
            seen.add(target)
            yield row, target


def _should_be_here(catalog: Catalog, row: int, target: str) -> bool:
    """Tell what must be here: all that a tree refers to; an archive may leave assets out."""
    if is_absolute(catalog.assets.href[row]):
        return False
    return isinstance(catalog.source, TreeSource) or catalog.source.size_of(target) is not None


def _of_file(catalog: Catalog, row: int, target: str) -> list[Damage]:
    file = catalog.local_file(row)
    where, size = f"asset {catalog.assets.key[row]!r}", catalog.source.size_of(target)
    place = file or catalog.path / target
    if size is None:
        return [Damage(place, where, "the file is missing")]
    if file is not None and _leads_out(catalog, file, target):
        return [Damage(place, where, "it is a link to a file outside of the catalog's directory")]
    expected = int(catalog.assets.size[row])
    if expected not in {UNKNOWN_SIZE, size}:
        return [Damage(place, where, f"it has {size:,} bytes, not {expected:,}")]
    told = catalog.assets.checksum(row)
    if told is not None and not is_multihash(told):
        return [Damage(place, where, f"its checksum {told[:80]!r} in the catalog is no multihash")]
    checksum = read_multihash(told or "")
    if file is not None and checksum is not None and not checksum.matches(file):
        return [Damage(place, where, "its bytes disagree with its checksum")]
    return []


def _leads_out(catalog: Catalog, file: Path, target: str) -> bool:
    """Tell whether a place in the catalog's directory is a link out of it.

    Other files may lie elsewhere: a download puts assets apart where it was told so.
    """
    own = isinstance(catalog.source, TreeSource) and catalog.source.is_own(file)
    return not own and not target.startswith("../")
