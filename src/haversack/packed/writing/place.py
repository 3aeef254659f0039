"""Where a dataset may be made: in a place that is empty, or has one or the beginnings of one."""

from __future__ import annotations

from pathlib import Path

from haversack.errors import ExistsError
from haversack.packed.manifests.kept import is_packed
from haversack.packed.manifests.places import BUILDS, CACHE, FOLDERS, JOURNALS
from haversack.storage.looking import exists, is_directory
from haversack.storage.publish import names_in

_OURS = frozenset({*FOLDERS, JOURNALS, CACHE, BUILDS})


def check_place(path: Path) -> None:
    """Refuse a place that holds anything but a packed dataset or the beginnings of one."""
    above = next(each for each in (path, *path.parents) if exists(each))
    if not is_directory(above):
        raise ExistsError(f"{above} is a file: give the path of a directory")
    if above != path or is_packed(path):
        return
    names = {*names_in(path)} - _OURS
    # File managers and the like leave names that begin with a dot anywhere.
    strangers = sorted(name for name in names if not name.startswith("."))
    if strangers:
        raise ExistsError(
            f"{path} is no packed dataset and not empty (it holds {strangers[0]}): choose another"
        )
