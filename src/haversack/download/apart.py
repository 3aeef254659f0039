"""Keep what is downloaded apart from its source, where that lies on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from haversack.catalog import Catalog
from haversack.catalog.items import ItemsSource
from haversack.catalog.source import TreeSource
from haversack.download.layout import CATALOG, REPORT, Layout
from haversack.download.ledger import LEDGER_NAME
from haversack.errors import ExistsError


def check_apart(catalog: Catalog, path: Path, output: Path, assets: Path) -> None:
    """Refuse to download a catalog into directories that hold its own documents or files.

    They would be replaced, and some before they are read. An archive is read as one file, and
    what lies beside it is not its own. A tree that a download left may be completed where it lies,
    as everything of it stands at its place already.

    Parameters
    ----------
    catalog, path
        What is to be downloaded, and the path that it was read from.
    output, assets
        The directory of the dataset, and that of its assets, which need not exist.

    Raises
    ------
    ExistsError
        One of them holds a document or a file of the catalog.
    """
    source = catalog.source
    targets = {_below(one): one for one in (output, assets) if one.is_dir()}
    if not isinstance(source, TreeSource) or not any(map(source.overlaps, targets)):
        return
    is_ours = any((assets / name).is_file() for name in (REPORT, LEDGER_NAME))
    real = lru_cache(1024)(os.path.realpath)  # most files come folder by folder
    for file, place in _files(catalog, source, path, output, assets):
        target = _holder(targets, os.fspath(file), real)
        if target is None or not file.is_file():
            continue
        if not (is_ours and os.path.realpath(file) == os.path.realpath(place)):
            raise ExistsError(
                f"{file} belongs to the source, and the download would write to its directory "
                f"({target}): give another output directory, or another name for the dataset"
            )


def _files(
    catalog: Catalog, source: TreeSource, path: Path, output: Path, assets: Path
) -> Iterator[tuple[Path, Path]]:
    """Give where each document and file of a catalog may be, and where a download puts it."""
    layout = Layout(catalog)
    if isinstance(source, ItemsSource):
        yield path, output / CATALOG
    else:
        yield source.path / (catalog.place or ""), output / CATALOG
        for row, collection in enumerate(catalog.collections):
            if collection.place is not None:
                yield source.path / collection.place, output / layout.collection_file(row)
        for row, place in enumerate(catalog.items.place):
            yield source.path / place, output / layout.item_file(row)
    for row, name in layout.assets():
        for file in source.candidates(catalog.target(row)):
            yield file, assets / name


def _below(folder: Path) -> str:
    """Give what the paths of all that lies in a directory begin with."""
    return os.path.join(os.path.realpath(folder), "")  # noqa: PTH118


def _holder(targets: dict[str, Path], path: str, real: Callable[[str], str]) -> Path | None:
    """Find the directory where a file lies, itself or what it links to."""
    folder, name = os.path.split(path)
    places = [os.path.join(real(folder), name)]  # noqa: PTH118
    if os.path.islink(places[0]):  # noqa: PTH114
        places.append(os.path.realpath(places[0]))
    return next((one for at, one in targets.items() if any(p.startswith(at) for p in places)), None)
