"""Where everything of a dataset stands in its directory: one name for each thing, none for two.

Paths are ``/``-separated and relative to the dataset's directory. Ids and keys become names through
:func:`haversack.storage.names.component`, and names that a file system may take for one another
are kept apart: the later one gets ``~`` and a hash.
"""

from __future__ import annotations

import hashlib
import mimetypes
import posixpath
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from haversack.catalog import Catalog
from haversack.catalog.columns import pieces
from haversack.catalog.table import NO_ITEM
from haversack.download.lease import LEASE_NAME
from haversack.download.ledger import LEDGER_NAME
from haversack.storage.names import component, fold

CATALOG, COLLECTION, DATASET, REPORT = (
    "catalog.json",
    "collection.json",
    "dataset.json",
    "err_report.csv",
)
COMMON = "_common"
COMMON_KEYS = frozenset(
    {"documentation", "readme", "test_split", "train_split", "validation_split"}
)
_HALF = (1 << 32) - 1
_SHARES = 8
_STATE = (LEDGER_NAME, f"{LEDGER_NAME}-journal", LEASE_NAME)
_OWN = (CATALOG, COLLECTION, DATASET, REPORT, COMMON, *_STATE)
_EXTENSIONS = {"image/tiff": ".tif", "application/geo+json": ".geojson", "image/jp2": ".jp2"}


class Layout:
    """The paths of a catalog's documents and assets.

    An asset stands at ``COLLECTION/ITEM/KEY.EXT``, a collection's own at ``COLLECTION/KEY.EXT``.
    Assets of one address are one file; one that several items share, or whose key is a common one
    (``documentation``, ``readme``, the splits), stands at ``_common/KEY.EXT``, and where another
    has that name, at ``COLLECTION/_common/KEY.EXT``.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._taken: dict[str, _Names] = {"": _Names(_OWN)}
        self._folders = [self._claim("", row.id) for row in catalog.collections]
        for folder in self._folders:
            self._taken[folder] = _Names((COLLECTION, COMMON))
        # Only what differs from the ordinary name is kept.
        self._renamed: dict[int, str] = {}
        self._last = -1, ""  # the item asked for last, and its folder
        self._reserve_items()
        self._common = _common(catalog)
        self._paths: dict[str, str] = {}
        self._of_collections: dict[int, list[tuple[int, str]]] = {}
        self._reserve_assets()
        self._taken.clear()

    def collection_folder(self, row: int) -> str:
        return self._folders[row]

    def collection_file(self, row: int) -> str:
        return f"{self._folders[row]}/{COLLECTION}"

    def item_folder(self, row: int) -> str:
        last, folder = self._last
        if row != last:
            name = self._renamed.get(row) or component(self._catalog.items.id[row])
            folder = f"{self._folders[self._catalog.items.collection.codes[row]]}/{name}"
            self._last = row, folder
        return folder

    def item_file(self, row: int) -> str:
        return f"{self.item_folder(row)}/{component(self._catalog.items.id[row], '.json')}"

    def assets(self) -> Iterator[tuple[int, str]]:
        """Yield the row and the path of every asset, in order."""
        for item in range(len(self._catalog.items)):
            yield from self.assets_of(item)
        for collection in range(len(self._catalog.collections)):
            yield from self.assets_of_collection(collection)

    def assets_of_collection(self, row: int) -> list[tuple[int, str]]:
        """Give the row and the path of each asset of a collection itself."""
        return self._of_collections.get(row, [])

    def assets_of(self, item: int) -> list[tuple[int, str]]:
        """Give the row and the path of each asset of an item."""
        catalog, folder = self._catalog, self.item_folder(item)
        taken = _Names([posixpath.basename(self.item_file(item))])
        here: dict[str, str] = {}
        found = []
        for row in catalog.items.assets_of(item):
            target = catalog.target(row)
            path = self._paths.get(target) if self._common[row] else here.get(target)
            if path is None:
                path = f"{folder}/{_free(taken, self.name(row), target)}"
                here[target] = path
            found.append((row, path))
        return found

    def is_common(self, row: int) -> bool:
        """Tell whether an asset's file is one that several items may share."""
        return bool(self._common[row])

    def own(self) -> Iterator[str]:
        """Yield the paths of what is no asset: the documents, the ledger, the report."""
        yield from (CATALOG, REPORT, *_STATE)
        yield from map(self.collection_file, range(len(self._catalog.collections)))
        yield from map(self.item_file, range(len(self._catalog.items)))

    def name(self, row: int) -> str:
        """Name the file of an asset: its key, and the last suffix of its address or type."""
        assets = self._catalog.assets
        return _named(assets.key[row], extension(assets.href[row], assets.type[row]))

    def older(self, row: int) -> list[str]:
        """Give the places where the old client, or an archive, has a common asset."""
        if not self._common[row]:
            return []
        item, name = int(self._catalog.assets.item[row]), self.name(row)
        collection = self._folders[self._catalog.assets.collection[row]]
        folder = collection if item == NO_ITEM else self.item_folder(item)
        return [f"{folder}/{name}", f"{collection}/{COMMON}/{name}"]

    def _claim(self, folder: str, text: str) -> str:
        return _free(self._taken[folder], component(text), text)

    def _reserve_items(self) -> None:
        """Give names to the items' folders; only those that are not the only ones are kept."""
        items = self._catalog.items
        codes, count = items.collection.codes, len(items)
        hashes = np.fromiter(
            (hash(fold(component(items.id[row]))) for row in range(count)), np.int64, count
        )
        order = np.lexsort((hashes, codes))
        ordered, ends = hashes[order], np.cumsum(np.bincount(codes, minlength=len(self._folders)))
        crowded = []
        for folder, end, begin in zip(self._folders, ends, np.r_[0, ends], strict=False):
            here = slice(begin, end)
            alone = self._taken[folder].add_alone(ordered[here])
            crowded += order[here][~alone].tolist()
        for row in sorted(crowded):
            plain = component(items.id[row])
            name = _free(self._taken[self._folders[codes[row]]], plain, items.place[row])
            if name != plain:
                self._renamed[row] = name

    def _reserve_assets(self) -> None:
        """Give paths to what several items share and to the collections' own, in order."""
        assets = self._catalog.assets
        owners = assets.item
        for row in np.flatnonzero(self._common | (owners == NO_ITEM)).tolist():
            target = self._catalog.target(row)
            folder, name = self._folders[assets.collection[row]], self.name(row)
            if not self._common[row]:
                path = f"{folder}/{_free(self._taken[folder], name, target)}"
            elif target in self._paths:
                path = self._paths[target]
            else:
                path = self._paths[target] = self._shared(folder, name, target)
            if owners[row] == NO_ITEM:
                self._of_collections.setdefault(int(assets.collection[row]), []).append((row, path))

    def _shared(self, folder: str, name: str, target: str) -> str:
        for place in (COMMON, f"{folder}/{COMMON}"):
            taken = self._taken.setdefault(place, _Names())
            if name not in taken:
                taken.add(name)
                return f"{place}/{name}"
        return f"{place}/{_free(taken, name, target)}"


# Most items have the same keys.
_named = lru_cache(1024)(component)


def extension(href: str, kind: str | None) -> str:
    """Choose a file's extension: the last suffix of the path, else the media type's, else none.

    Examples
    --------
    >>> extension("https://example.org/a/my.tif.csv?x=1.png", None)
    '.csv'
    >>> extension("https://example.org/a", "image/png")
    '.png'
    """
    suffix = posixpath.splitext(_last_part(href))[1]
    if suffix not in {"", "."}:
        return suffix
    plain = (kind or "").split(";")[0].strip().lower()
    return _EXTENSIONS.get(plain) or mimetypes.guess_extension(plain, strict=False) or ""


def _last_part(href: str) -> str:
    """Give the last part of the path of an address, which urlsplit would do ten times slower."""
    if "://" not in href:
        return posixpath.basename(href)
    path = href.partition("#")[0].partition("?")[0].partition("://")[2]
    return unquote(path.rpartition("/")[2]) if "/" in path else ""


def _common(catalog: Catalog) -> NDArray[np.bool_]:
    """Mark the assets of common keys, and those whose address several items share."""
    assets = catalog.assets
    marked = assets.key.mask([key in COMMON_KEYS for key in assets.key.values])
    owners = assets.item
    first: dict[str, int] = {}
    repeated = _repeated(catalog)
    for row in repeated:
        target = catalog.target(row)
        if first.setdefault(target, int(owners[row])) != owners[row]:
            first[target] = -2
    for row in repeated:
        marked[row] |= first[catalog.target(row)] == -2
    return marked


def _repeated(catalog: Catalog) -> list[int]:
    """Rows whose address occurs more than once, found by hash so that few are looked at."""
    rows = range(len(catalog.assets))
    # Half of each hash tells enough apart.
    halves = (hash(catalog.target(row)) & _HALF for row in rows)
    hashes = np.fromiter(halves, np.uint32, len(rows))
    twice = np.concatenate([_twice(hashes, share) for share in range(_SHARES)])
    if not len(twice):
        return []
    return np.flatnonzero(
        np.concatenate([np.isin(each, twice) for each in pieces(hashes)])
    ).tolist()


def _twice(hashes: NDArray[np.uint32], share: int) -> NDArray[np.uint32]:
    """Give what is there more than once of a share of hashes, for to sort takes all of it again."""
    ordered = np.sort(np.concatenate([each[each % _SHARES == share] for each in pieces(hashes)]))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


class _Names:
    """The names that are taken in a folder, whatever their case; those of many items by hash."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {fold(name) for name in names}
        self._hashes: NDArray[np.int64] = np.empty(0, np.int64)

    def __contains__(self, name: str) -> bool:
        folded = fold(name)
        if folded in self._names:
            return True
        at = int(np.searchsorted(self._hashes, hash(folded))) if len(self._hashes) else 0
        return at < len(self._hashes) and int(self._hashes[at]) == hash(folded)

    def add(self, name: str) -> None:
        self._names.add(fold(name))

    def add_alone(self, hashes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Take names by the hashes of what they fold to, in order; mask those taken.

        Those that may be one with each other, or with a name that is taken, are left.
        """
        same = hashes[1:] == hashes[:-1]
        alone = ~np.isin(hashes, np.array([hash(name) for name in self._names], np.int64))
        alone[1:] &= ~same
        alone[:-1] &= ~same
        self._hashes = hashes[alone]
        return alone


def _free(taken: _Names, name: str, identity: str) -> str:
    """Take a name in a folder, with a hash where another has it."""
    if name in taken:
        stem, suffix = posixpath.splitext(name)
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        lengths = range(8, len(digest) + 1)
        name = next(
            free
            for free in (f"{stem}~{digest[:length]}{suffix}" for length in lengths)
            if free not in taken
        )
    taken.add(name)
    return name
