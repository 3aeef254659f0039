"""Which files of a directory are the blocks and the metadata of an array, whoever named them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from haversack.errors import FormatError, UnsupportedError, UsageError
from haversack.storage.looking import listed, natural_order

METADATA = "stack_metadata.json"
_MOST_TOLD = 8  # prefixes


def prefix_of(given: str | os.PathLike[str] | None) -> str:
    """Take a prefix that a caller gave, None for none; raises as :func:`part_of_name`."""
    return "" if given is None else part_of_name(given, "prefix")


def part_of_name(given: str | os.PathLike[str], what: str) -> str:
    """Take what a caller gave as a part of names in one directory.

    Raises
    ------
    UnsupportedError
        It is no text.
    UsageError
        It would make a path of a name.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise UnsupportedError(f"{what} {given!r} is no text")
    if text in {".", "..", "~"} or any(each in text for each in "/\\\0"):
        raise UsageError(f"{what} {given!r} is a path, or none: it is to be part of a name")
    return text


def block_files(folder: Path, prefix: str = "") -> list[Path]:
    """Find the files that old readers take for blocks, in the order of the numbers in their names.

    ``prefix`` is what their names begin with, or, as in the old package, what stands in them before
    ``_`` and the number.
    """
    return sorted(_with_prefix(_all_blocks(folder), prefix), key=natural_order)


def _all_blocks(folder: Path) -> list[Path]:
    return [
        path
        for path in _shown(folder)
        if path.suffix == ".h5" and re.search(r"[0-9]", path.stem) is not None
    ]


def prefixes_told(folder: Path) -> str:
    """Tell which prefixes the blocks of a directory have, for who gave another one."""
    found = sorted({re.split(r"[0-9]+(?=[^0-9]*$)", path.stem)[0] for path in _all_blocks(folder)})
    if not found:
        return "there are no blocks at all"
    more = " ..." if len(found) > _MOST_TOLD else ""
    return f"the names that are there begin with {', '.join(map(repr, found[:_MOST_TOLD]))}{more}"


def number_alone(prefix: str) -> str:
    """Write the expression for names that have nothing but a number behind the prefix."""
    return rf"{re.escape(prefix)}_?[0-9]+"


def _with_prefix(paths: list[Path], prefix: str) -> list[Path]:
    if not prefix:
        return paths
    own = re.escape(prefix)
    for form in (number_alone(prefix), rf".*{own}_[0-9].*", rf"{own}.*"):
        found = [path for path in paths if re.fullmatch(form, path.stem, re.DOTALL)]
        if found:
            return found
    return []


def metadata_file(folder: Path, prefix: str) -> Path | None:
    """Find the metadata of an array; the only one that is there is that of any prefix.

    Raises
    ------
    FormatError
        There are several that it may be.
    """
    there = [path for path in _shown(folder) if path.name.endswith(METADATA)]
    begins = {path: path.name.removesuffix(METADATA) for path in there}
    nearest = (
        [path for path in there if begins[path].startswith(prefix)],
        [path for path in there if prefix in begins[path]],
        [path for path in there if prefix and not begins[path]],
        there,
    )
    found: list[Path] = next(filter(None, nearest), [])
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise FormatError(f"{folder} holds more than one array ({names}): say which by its prefix")
    return found[0] if found else None


def _shown(folder: Path) -> list[Path]:
    """List what is not hidden: macOS puts a file ``._NAME`` beside each on other systems' disks."""
    return [path for path in listed(folder) if not path.name.startswith(".")]
