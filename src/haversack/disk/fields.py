"""The metadata of an image beside its ids, as the metadata of one record.

They lie side by side, so that each name is a column that can be queried. A name that would be
taken for an id is written with a prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from haversack.errors import UsageError

COLUMNS: Final = ("location_id", "source_id", "metadata")
_IDS: Final = COLUMNS[:2]
_PREFIX: Final = "metadata:"


def joined(location_id: str, source_id: str, metadata: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """Put ids and metadata side by side.

    Examples
    --------
    >>> joined("mine", "spot", {"cloud": 3, "source_id": 7})
    {'location_id': 'mine', 'source_id': 'spot', 'cloud': 3, 'metadata:source_id': 7}
    """
    try:
        given = {} if metadata is None else dict(metadata)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metadata is a mapping of names to values, not {type(metadata).__name__}"
        ) from error
    record: dict[Any, Any] = {"location_id": str(location_id), "source_id": str(source_id)}
    for name, value in given.items():
        record[_written(name)] = value
    return record


def parted(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Take them apart again: a row of ``location_id``, ``source_id`` and ``metadata``.

    Examples
    --------
    >>> parted({"location_id": "mine", "source_id": "spot", "metadata:source_id": 7})
    {'location_id': 'mine', 'source_id': 'spot', 'metadata': {'source_id': 7}}
    """
    metadata = {
        name.removeprefix(_PREFIX) if type(name) is str else name: value
        for name, value in record.items()
        if name not in _IDS
    }
    location_id, source_id = record["location_id"], record["source_id"]
    return {"location_id": location_id, "source_id": source_id, "metadata": metadata}


def _written(name: Any) -> Any:
    # Names of columns know no case.
    if isinstance(name, str) and (name.casefold() in _IDS or name.startswith(_PREFIX)):
        return _PREFIX + name
    return name
