"""Pack the images of a downloaded catalog."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from haversack.catalog import Catalog, read_catalog
from haversack.convert.image import import_rasterio, is_image, read_with_place
from haversack.errors import EmptySelectionError, IntegrityError, UsageError
from haversack.events import Progress
from haversack.packed import PackedDataset, Skipped, pack
from haversack.storage.multihash import read_multihash
from haversack.storage.names import component

_OURS = ("collection", "item", "asset", "bbox", "sources")


@dataclass(frozen=True, slots=True, repr=False)
class _Image:
    """One image asset that lies here."""

    path: Path
    checksum: str | None
    key: str
    metadata: dict[str, Any]
    stamp: tuple[int, int]  # a build goes on only with files that are as they were

    def __repr__(self) -> str:
        # What an error shows of it.
        return self.key


def pack_catalog(
    tree: str | os.PathLike[str] | Catalog,
    path: str | os.PathLike[str],
    *,
    collections: Sequence[str] | None = None,
    asset_keys: Sequence[str] | None = None,
    codec: str = "none",
    workers: int | None = None,
    errors: Literal["raise", "skip"] = "raise",
    report: Callable[[Skipped], object] | None = None,
    progress: Progress = None,
) -> PackedDataset:
    """Make each image of a downloaded catalog one record of a new packed dataset.

    A record's key is ``collection/item/asset``. Its metadata are the STAC properties of its item
    (``datetime``, ``eo:cloud_cover`` and whatever else), and ``collection``, ``item``, ``asset``,
    ``bbox``, ``sources`` (the items that a label item was drawn on), and the image's ``proj:code``
    and ``proj:transform``. Assets that are no images or were not downloaded are left out.

    Parameters
    ----------
    tree
        Directory of a downloaded dataset or of any static catalog, or a catalog that was read.
    path
        Directory to make.
    collections, asset_keys
        Only these; by default all.
    codec
        As in :class:`~haversack.packed.PackWriter`.
    workers, errors, report
        As in :func:`haversack.pack`: how many read images, whether those that cannot be read are
        left out, and who is told of them. What was killed goes on when the same is called again.
    progress
        True draws a bar, a callable is told of each :class:`~haversack.events.Event`.

    Raises
    ------
    EmptySelectionError
        No image of these collections and keys lies here.
    UsageError
        ``tree`` is an archive, or has no such collection or key.
    ExistsError
        A dataset stands at ``path`` already.
    FormatError, IntegrityError
        An image is damaged, or disagrees with the checksum in its catalog; nothing is left at
        ``path``.

    Examples
    --------
    >>> from haversack.demo import make_hub
    >>> _ = make_hub("hub", small=True)
    >>> packed = pack_catalog("hub/demo_flood_events", "floods", asset_keys=["flood"])
    >>> packed[0].data.shape
    (48, 48)
    >>> packed.close()
    """
    import_rasterio()
    catalog = tree if isinstance(tree, Catalog) else read_catalog(tree)
    if catalog.path.is_file():
        raise UsageError(
            f"{catalog.path} is an archive: download it first, then pack its directory"
        )
    images = list(_images(catalog, collections, asset_keys))
    if not images:
        raise EmptySelectionError(_nothing(catalog, collections, asset_keys))
    return pack(
        images,
        path,
        read=_read,
        key=_key,
        codec=codec,
        workers=workers,
        errors=errors,
        report=report,
        progress=progress,
    )


def _key(image: _Image) -> str:
    return image.key


def _read(image: _Image) -> tuple[Any, dict[str, Any]]:
    checksum = read_multihash(image.checksum or "")
    if checksum is not None and not checksum.matches(image.path):
        raise IntegrityError(
            f"{image.path} disagrees with the checksum in its catalog: remove it, and run the "
            "same download again"
        )
    data, place = read_with_place(image.path)
    return data, {**place, **image.metadata}


def _images(
    catalog: Catalog, collections: Sequence[str] | None, asset_keys: Sequence[str] | None
) -> Iterator[_Image]:
    chosen = catalog.select(
        collection_filter=None if collections is None else {name: [] for name in collections},
        asset_keys=asset_keys,
    )
    known: dict[int, dict[str, Any]] = {}
    for row in chosen.assets.tolist():
        file = catalog.local_file(row)
        if file is None or not is_image(file):
            continue
        item = int(catalog.assets.item[row])
        if item not in known:
            known = {item: _metadata(catalog, item)}
        checksum = catalog.assets.checksum(row)
        status = file.stat()
        stamp = status.st_size, status.st_mtime_ns
        yield _Image(file, checksum, *_named(catalog, row, item, known[item]), stamp)


def _named(
    catalog: Catalog, row: int, item: int, metadata: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    collection = catalog.collections[catalog.assets.collection[row]].id
    names = [collection, catalog.assets.key[row]]
    if item >= 0:
        names.insert(1, catalog.items.id[item])
    key = "/".join(component(name) for name in names)
    return key, {"collection": collection, **metadata, "asset": catalog.assets.key[row]}


def _metadata(catalog: Catalog, item: int) -> dict[str, Any]:
    """Give the properties of an item; one that bears a name of ours gets ``stac:`` before it."""
    if item < 0:
        return {}
    document = catalog.item(item)
    properties = {
        f"stac:{name}" if name in _OURS else name: value
        for name, value in (document.get("properties") or {}).items()
    }
    own: dict[str, Any] = {"item": catalog.items.id[item], "bbox": document.get("bbox")}
    sources = [link["href"] for link in document.get("links") or () if link["rel"] == "source"]
    if sources:
        own["sources"] = [_stem(href) for href in sources]
    return {**own, **properties}


def _stem(href: str) -> str:
    """Name the item that a link leads to: its document's name without ``.json``."""
    return href.split("?", maxsplit=1)[0].rstrip("/").rsplit("/", 1)[-1].removesuffix(".json")


def _nothing(
    catalog: Catalog, collections: Sequence[str] | None, asset_keys: Sequence[str] | None
) -> str:
    where = f" of {', '.join(collections)}" if collections else ""
    what = f" with key {', '.join(asset_keys)}" if asset_keys else ""
    return f"no image{where}{what} lies in {catalog.path}: download some first"
