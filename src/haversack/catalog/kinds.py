"""Choose assets by what they are: their roles and media types."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from haversack.errors import UsageError

if TYPE_CHECKING:
    from haversack.catalog.catalog import Catalog


def by_role(catalog: Catalog, roles: Sequence[str]) -> NDArray[np.bool_]:
    """Mask the assets that have one of some roles.

    Raises
    ------
    UsageError
        No asset has such a role.
    """
    there = sorted({role for each in catalog.assets.roles.values for role in each})
    for role in roles:
        if role not in there:
            raise UsageError(f"no asset of {catalog.id!r} has the role {role!r}; {some(there)}")
    wanted = set(roles)
    chosen = [bool(wanted.intersection(each)) for each in catalog.assets.roles.values]
    return catalog.assets.roles.mask(chosen)


def by_type(catalog: Catalog, media_types: Sequence[str]) -> NDArray[np.bool_]:
    """Mask the assets of some media types, whatever their parameters; ``image/*`` is any image.

    Raises
    ------
    UsageError
        No asset is of such a type.
    """
    values = [_plain(each or "") for each in catalog.assets.type.values]
    chosen = np.zeros(len(values), bool)
    for wanted in map(_plain, media_types):
        found = np.array([fnmatchcase(value, wanted) for value in values], bool)
        if not found.any():
            there = some(sorted({value for value in values if value}))
            raise UsageError(f"no asset of {catalog.id!r} is of type {wanted!r}; {there}")
        chosen |= found
    return catalog.assets.type.mask(chosen.tolist())


def _plain(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def check_list(names: object, what: str) -> None:
    """Refuse what is no list of texts, a single text above all."""
    if not _is_list(names):
        kind = "the text " if isinstance(names, str) else ""
        raise UsageError(f"{what} are given as a list of texts, not as {kind}{names!r}")


def _is_list(names: object) -> bool:
    if not isinstance(names, Collection) or isinstance(names, str | bytes):
        return False
    try:
        return all(isinstance(name, str) for name in names)
    except TypeError:  # an array of no dimension
        return False


def some(names: Sequence[str]) -> str:
    """Name the first of many.

    Examples
    --------
    >>> some(["red", "nir"])
    "it has 'red', 'nir'"
    """
    shown = ", ".join(repr(name) for name in names[:20]) or "none"
    return f"it has {shown}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")
