"""Which of the numbers in the names of files is that of the block, where some are missing."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from haversack.errors import FormatError
from haversack.split.directory.finding import number_alone

_DIGITS = 3  # as many or more, with zeros, have the numbers that programs give to blocks
_Numbers = tuple[int, ...]
_Column = tuple[re.Match[str], ...]  # one number of each name


def numbered(folder: Path, paths: list[Path], n_blocks: int, prefix: str = "") -> dict[int, Path]:
    """Find the file of each block by its number: one that no two have, and that there is.

    Raises
    ------
    FormatError
        There is no such number in the names, or several that do not say the same.

    Examples
    --------
    >>> numbered(Path(), [Path("488nm_0.h5"), Path("488nm_2.h5")], 3)[2].name
    '488nm_2.h5'
    """
    if not paths:
        return {}
    columns = _columns(paths, prefix)
    meanings: dict[_Numbers, list[_Column]] = {}
    for column in columns:
        numbers = _numbers(column)
        if len({*numbers}) == len(numbers) and max(numbers) <= n_blocks:  # they may begin at 1
            meanings.setdefault(numbers, []).append(column)
    if not meanings or len(paths) > n_blocks:
        raise _of_no_array(folder, paths, columns, n_blocks)
    signs = {*meanings} if len(meanings) == 1 else _signs(meanings, n_blocks)
    if len(signs) != 1:
        raise _ambiguous(folder, paths, [*meanings], n_blocks)
    (numbers,) = signs
    if max(numbers) == n_blocks:
        raise _of_no_array(folder, paths, meanings[numbers], n_blocks)
    return dict(zip(numbers, paths, strict=True))


def _columns(paths: list[Path], prefix: str) -> list[_Column]:
    """Give the first number of every name, the second, and so on, and so from the last one on.

    Where nothing but the number stands behind the prefix, there is no other.
    """
    found = [[*re.finditer(r"[0-9]+", path.stem)] for path in paths]
    from_last = [*zip(*(runs[::-1] for runs in found), strict=False)]
    if prefix and all(re.fullmatch(number_alone(prefix), path.stem, re.DOTALL) for path in paths):
        return from_last[:1]
    return [*zip(*found, strict=False), *from_last]


def _numbers(column: _Column) -> _Numbers:
    return tuple(int(run[0]) for run in column)


def _signs(meanings: dict[_Numbers, list[_Column]], n_blocks: int) -> set[_Numbers]:
    """Take of several meanings those for which something speaks.

    - Where all count alike, it is the lowest: were it another, this one had begun below 0. Numbers
      that begin anew, as of channels, do not look so where more than half of the blocks are there.
    - Where one alone is no label (as in ``ch2``), it is that one, if it is written as programs do.
    """
    signs = set()
    lowest = min(meanings)
    steps = [{a - b for a, b in zip(numbers, lowest, strict=True)} for numbers in meanings]
    if all(len(each) == 1 for each in steps) and 2 * len(lowest) > n_blocks:
        signs.add(lowest)
    bare = [numbers for numbers, columns in meanings.items() if any(map(_is_bare, columns))]
    if len(bare) == 1 and any(map(_is_padded, meanings[bare[0]])):
        signs.add(bare[0])
    return signs


def _is_bare(column: _Column) -> bool:
    return all(run.string[: run.start()][-1:] in {"", "_"} for run in column)


def _is_padded(column: _Column) -> bool:
    digits = [run[0] for run in column]
    return (
        _is_bare(column)
        and min(map(len, digits)) >= _DIGITS
        and any(each.startswith("0") for each in digits)
    )


def _ambiguous(
    folder: Path, paths: list[Path], meanings: list[_Numbers], n_blocks: int
) -> FormatError:
    among = [{numbers[place] for numbers in meanings} for place in range(len(paths))]
    name, numbers = next(
        (path.name, sorted(each)) for path, each in zip(paths, among, strict=True) if len(each) > 1
    )
    return FormatError(
        f"{folder} holds {len(paths)} of {n_blocks} blocks, and which number in their names is "
        f"theirs cannot be seen: {' or '.join(map(str, numbers))} in {name}. Say by the prefix all "
        "that stands before it, or rename the files to numbers alone (0000.h5 and on)"
    )


def _of_no_array(
    folder: Path, paths: list[Path], columns: list[_Column], n_blocks: int
) -> FormatError:
    candidates = map(_numbers, columns)
    numbers = min(candidates, key=lambda each: (-len({*each}), max(each)))
    found: dict[int, Path] = {}
    for number, path in zip(numbers, paths, strict=True):
        if number in found:
            return FormatError(
                f"{folder} holds more than one array ({found[number].name}, {path.name}): "
                "say which one by its prefix"
            )
        found[number] = path
    return FormatError(
        f"{folder} holds {len(paths)} blocks where its metadata describes {n_blocks}: "
        f"{found[max(found)].name} does not belong"
    )


def named_like(number: int, path: Path, other: int) -> Path:
    """Name another block of an array as the one of a number is named."""
    runs = [run for run in re.finditer(r"[0-9]+", path.stem) if int(run[0]) == number]
    digits = max(runs, key=lambda run: (len(run[0]), run.start()))
    name = path.stem
    new = f"{other:0{len(digits[0])}d}"
    return path.with_stem(name[: digits.start()] + new + name[digits.end() :])


def gap_in(paths: list[Path]) -> int | None:
    """Find the only place in an order of files before which a number is left out.

    Names whose numbers do not all follow on each other elsewhere tell nothing of blocks.

    Examples
    --------
    >>> gap_in([Path("0000.h5"), Path("0001.h5"), Path("0003.h5")])
    2
    >>> gap_in([Path("0010.h5"), Path("0020.h5"), Path("0030.h5")])
    """
    if len({re.sub(r"[0-9]+", "0", path.stem) for path in paths}) != 1:
        return None
    columns = {_numbers(column) for column in _columns(paths, "")}
    differing = [numbers for numbers in columns if len({*numbers}) > 1]
    if len(differing) != 1:
        return None
    numbers = differing[0]
    steps = [here - before for before, here in pairwise(numbers)]
    gaps = [place for place, step in enumerate(steps, 1) if step != 1]
    return gaps[0] if len(gaps) == 1 < len(steps) and steps[gaps[0] - 1] > 1 else None
