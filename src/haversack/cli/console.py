"""What every verb shows in the same way: JSON or text, sizes, tables, progress."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import click

from haversack.errors import NotFoundError, UsageError
from haversack.events import Bars, JsonLines, Listener, silent
from haversack.storage.damage import Damage

_ONE_LINE = 10_000
_SURROGATE = re.compile("[\ud800-\udfff]")
MOST_DIGITS = 640  # of a number: more Python may be told not to take
_NUMBER = re.compile(f"-?[0-9]{{1,{MOST_DIGITS}}}")
Command = TypeVar("Command", bound=Callable[..., Any])

of_version = click.option(
    "--version", "version", metavar="N|TAG", help="Of a packed dataset: an older version."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Write the result as JSON.")


class _FilePath(click.Path):
    """A path, which is not empty: an empty one would be the directory that the user is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_filled(self, value, param, ctx), param, ctx)


class _Text(click.types.StringParamType):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_filled(self, value, param, ctx), param, ctx)


def _filled(
    kind: click.Path | _Text, value: Any, param: click.Parameter | None, ctx: click.Context | None
) -> Any:
    if value == "":
        kind.fail("it is empty: has a variable of the shell no value?", param, ctx)
    return value


# Who opens a path tells whether it can be read: that is the disk's to refuse, not wrong use.
FILE_PATH = _FilePath(path_type=Path, readable=False)
FILLED_TEXT = _Text()


class TakesIndex(click.Command):
    """A command of which one argument is an index, as "-1, 3": it is no option of the name 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            index = next((each for each in given if each.startswith(error.option_name)), None)
            if index is None or not index[1:2].isdecimal():
                raise
        given.remove(index)
        return super().parse_args(ctx, [*given, *(() if "--" in given else ("--",)), index])


def verbose(command: Command) -> Command:
    """Add ``-v`` to a command, which acts before it runs."""
    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_set_level,
        help="Say more: each step (-v), each asset and request (-vv).",
    )(command)


def verbosity(command: Command) -> Command:
    """Add ``-q`` and ``-v`` to a command that shows progress."""
    return click.option("-q", "--quiet", is_flag=True, help="Show no progress.")(verbose(command))


def _set_level(_context: click.Context, _option: click.Parameter, count: int) -> None:
    level = {0: logging.WARNING, 1: logging.INFO}.get(count, logging.DEBUG)
    logging.getLogger("haversack").setLevel(level)


def open_version(path: str | Path, version: str | None) -> Any:
    """Open what stands at a path, in the version of that tag, or else of that number."""
    from haversack import opening

    try:
        return opening.open(path, version=version)
    except NotFoundError:
        number = None if version is None else whole_number(version)
        if number is None or number < 0:
            raise
        return opening.open(path, version=number)


def whole_number(text: str) -> int | None:
    """Read a number of digits that a computer takes for digits; None where it is something else."""
    return int(text) if _NUMBER.fullmatch(text) else None


def packed_place(path: Path) -> Path:
    """Name the packed dataset at a path, which may be that of a DiskDataset's images."""
    from haversack.disk.place import IMAGES, is_disk

    return path / IMAGES if is_disk(path) else path


def lengths(option: str, text: str | None, least: int = 1) -> tuple[int | None, ...] | None:
    """Take the lengths that an option has, with commas between; ``-`` is None.

    Raises
    ------
    UsageError
        One is something else.
    """
    return None if text is None else tuple(_length(option, each, least) for each in text.split(","))


def _length(option: str, text: str, least: int) -> int | None:
    if text.strip() == "-":
        return None
    number = whole_number(text.strip())
    if number is None or number < least:
        raise UsageError(
            f"{option} takes lengths >= {least} or -, with commas between, not {text!r}"
        )
    return number


def damage_rows(found: Sequence[Damage]) -> list[dict[str, str | bool]]:
    """Write damage as plain values; ``refused`` where the disk did not let it be read."""
    return [
        {
            "path": str(damage.path),
            "where": damage.where,
            "what": damage.what,
            **({"refused": True} if damage.refused else {}),
        }
        for damage in found
    ]


def progress(*, quiet: bool, as_json: bool) -> Listener:
    """Choose bars on a terminal, JSON lines on stderr, or silence."""
    if as_json and not quiet:
        return JsonLines(sys.stderr)
    # A log would keep every state of a bar.
    return silent if quiet or not sys.stderr.isatty() else Bars()


def write_json(value: Any) -> None:
    """Write a value as JSON on stdout; numbers that JSON lacks become null."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str)
    # A path that is no UTF-8 has surrogates, which as bytes would be no JSON.
    click.echo(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


def write_info(info: dict[str, Any], *, as_json: bool) -> None:
    """Write what ``info()`` gave: nested tables are indented, lists of rows become columns."""
    if as_json:
        write_json(info)
    else:
        _write_block(info, 0)


def _write_block(info: dict[str, Any], indent: int) -> None:
    lead = " " * indent
    width = max((len(key) for key in info), default=0)
    for key, value in info.items():
        if isinstance(value, dict) and value:
            click.echo(lead + key)
            _write_block(value, indent + 2)
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            click.echo(lead + key)
            write_rows(value, indent + 2)
        else:
            click.echo(f"{lead}{key:<{width}}  {shown(key, value)}")


def write_rows(rows: Sequence[dict[str, Any]], indent: int = 0) -> None:
    """Lay rows out in columns under their keys, folded to the terminal's width."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(name, row.get(name))) for name in names))
    text = StringIO()
    # Output that is no terminal is for other programs: one row, one line.
    terminal = sys.stdout is not None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _ONE_LINE
    console = Console(file=text, width=width, force_terminal=terminal)
    console.print(Padding(table, (0, 0, 0, indent), expand=False))
    for line in text.getvalue().splitlines():
        click.echo(line.rstrip())


def shown(key: str, value: Any) -> str:
    """Write one value for people; the key tells whether it is a number of bytes."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(shown(key, part) for part in value) or "-"
    if isinstance(value, int) and not isinstance(value, bool) and "bytes" in key:
        return size(value)
    # What a hub or a file says must not move the cursor.
    return "".join(c if c.isprintable() else " " for c in str(value))


def size(count: int | None) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> size(77_207_762), size(120), size(None)
    ('77.2 MB', '120 B', 'unknown')
    """
    if count is None:
        return "unknown"
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
