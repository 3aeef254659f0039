"""What a user means by the name of a source: an address, a path, or a dataset of a hub."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from haversack.errors import EntityDoesNotExist, NoHubError, UsageError

if TYPE_CHECKING:
    from haversack.hub import Dataset

HubOptions = Mapping[str, str | None]

log = logging.getLogger("haversack.cli")
_OF_FILES = (".tar.gz", ".tgz", ".json", ".geojson", ".ndjson", ".parquet", ".txt")
_DOI = re.compile(r"(doi:)?10\.\d{4,}[^/]*/.+", re.IGNORECASE)
_SEPARATORS = frozenset({"/", os.sep, os.altsep or os.sep})


def is_address(text: str) -> bool:
    """Tell an address from a path, and from the id of a dataset."""
    return "://" in text


def looks_like_path(text: str) -> bool:
    """Tell a path from the id or DOI of a hub's dataset by how it is written alone.

    Examples
    --------
    >>> [looks_like_path(text) for text in ("./farms", "data/farms", "farms.tar.gz", "~/farms")]
    [True, True, True, True]
    >>> [looks_like_path(text) for text in ("farms", "10.34911/rdnt.d2ce8i", "v1.2")]
    [False, False, False]
    """
    if text.startswith((".", "~")) or text.endswith(_OF_FILES):
        return True
    return not _SEPARATORS.isdisjoint(text) and _DOI.fullmatch(text) is None


def dataset_of_hub(text: str, hub: HubOptions, output: Path) -> Dataset | None:
    """Fetch the dataset of a hub that a text names; None where it is the name of a path here.

    What is not written like a path is the hub's, whatever stands at a path of that name, such as
    what an earlier download has left. Only where no hub is set, or the hub has no such dataset and
    a catalog stands there that is not the very place to download into, the path is meant.

    Raises
    ------
    NoHubError, EntityDoesNotExist
        It is neither a dataset of the hub nor a catalog here.
    """
    from haversack.hub import Dataset

    try:
        return Dataset.fetch(
            text, api_key=hub["api_key"], profile=hub["profile"], root_url=hub["hub"]
        )
    except NoHubError as error:
        if Path(text).exists():
            return None
        raise NoHubError(f"there is no path {text}; as a dataset of a hub: {error}") from error
    except EntityDoesNotExist as error:
        if not Path(text).exists():
            raise
        if _is_source(Path(text), output):
            log.warning("%s: the catalog here is read", error)
            return None
        here = f"./{text}"
        raise EntityDoesNotExist(f"{error}; give {here} for what stands there") from error


def _is_source(path: Path, output: Path) -> bool:
    """Tell a catalog that somebody put here from what a download into ``output`` has left."""
    from haversack.catalog import is_catalog

    place = output / path.name
    return is_catalog(path) and not (place.exists() and place.samefile(path))


def refuse_hub(options: HubOptions, source: str) -> None:
    """Refuse the options of a hub where none is asked.

    Raises
    ------
    UsageError
        One is given.
    """
    for name, value in options.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for datasets of a hub, and {source}: leave it out")
