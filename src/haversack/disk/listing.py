"""Which images there are: their ids, in order, and the tables of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from haversack.disk.fields import COLUMNS, parted
from haversack.disk.ids import check_id, ids_of
from haversack.errors import UsageError
from haversack.packed import PackedDataset
from haversack.packed.encoding.metadata import loads

if TYPE_CHECKING:
    import pandas as pd


def all_ids(images: PackedDataset | None) -> list[tuple[str, str]]:
    """List location and source of all images, in the order in which they were added."""
    return [] if images is None else [ids_of(str(key)) for key in images.keys()]  # noqa: SIM118


def places(
    images: PackedDataset, sources: Collection[str] | None, locations: Iterable[str] | None
) -> list[tuple[str, str, int]]:
    """List location, source and position of the images of some sources and locations, in order."""
    of = None if sources is None else _checked("source_id", sources)
    at = None if locations is None else _checked("location_id", locations)
    return sorted(
        (location, source, position)
        for position, (location, source) in enumerate(all_ids(images))
        if (of is None or source in of) and (at is None or location in at)
    )


def _checked(name: str, ids: Iterable[str]) -> set[str]:
    if isinstance(ids, str):
        raise UsageError(f"several of {name} are a list of texts, not {ids!r:.100}")
    found = set(ids)
    for each in found:
        check_id(name, each)
    return found


def frame(images: PackedDataset | None) -> pd.DataFrame:
    """Make the table of some images."""
    import pandas as pd

    rows = [] if images is None else [parted(loads(text)) for text in images.texts()]
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return pd.DataFrame(columns, dtype=object, columns=list(COLUMNS))


def series(record: Mapping[Any, Any]) -> pd.Series[Any]:
    """Make the row of one image of its record's metadata."""
    import pandas as pd

    values = np.empty(len(COLUMNS), object)
    values[:] = list(parted(record).values())
    return pd.Series(values, index=_index(), copy=False)


@cache
def _index() -> pd.Index[str]:
    """Name the values of a row; making this anew would be most of the work for each."""
    import pandas as pd

    return pd.Index(COLUMNS)
