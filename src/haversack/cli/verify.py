"""``haversack verify``: check every byte against its checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from haversack.cli.console import (
    FILE_PATH,
    as_json,
    damage_rows,
    of_version,
    open_version,
    progress,
    size,
    verbosity,
    write_json,
)
from haversack.errors import IntegrityError, StorageError


@click.command(
    "verify",
    short_help="Check every byte against its checksum.",
    epilog="Example: haversack verify chips",
)
@click.argument("path", type=FILE_PATH)
@of_version
@verbosity
@as_json
def command(*, path: Path, version: str | None, quiet: bool, as_json: bool) -> int:
    """Check everything at PATH against its checksums and name what is damaged.

    What the disk does not let us read is no damage; it is named too, and the exit code is then 8.

    Files of a catalog that says no checksum of them are counted: they were compared by their size,
    or with nothing. Half files of a download are no damage; they are counted.
    """
    opened = open_version(path, version)
    found = opened.verify(progress=progress(quiet=quiet, as_json=as_json))
    refused = sum(damage.refused for damage in found)
    damaged = len(found) - refused
    if as_json:
        write_json(damage_rows(found))
    else:
        for damage in found:
            click.echo(damage)
        told = f"{damaged} damaged" if damaged else "no damage found"
        unread = f", {refused} not read: the disk refuses" if refused else ""
        click.echo(f"{path}: {told}{unread}", err=True)
        _tell_of_uncompared(opened, path)
    _tell_of_halves(opened, path)
    if damaged:
        return IntegrityError.exit_code
    return StorageError.exit_code if refused else 0


def _tell_of_uncompared(opened: Any, path: Path) -> None:
    from haversack.catalog import Catalog

    if isinstance(opened, Catalog):
        from haversack.catalog.verify import count_compared

        counted = count_compared(opened)
        for count, told in (
            (counted.by_size, "by their size alone, for the catalog says no checksum of them"),
            (counted.by_nothing, "with nothing, for the catalog says neither size nor checksum"),
        ):
            if count:
                click.echo(f"{path}: {count} of {counted.files} files compared {told}", err=True)


def _tell_of_halves(opened: Any, path: Path) -> None:
    from haversack.catalog import Catalog

    if isinstance(opened, Catalog) and path.is_dir():
        from haversack.download.leftovers import half_files

        to_go_on, useless = half_files(path)
        goes = (
            "the same download goes on from them, and a later one removes them when they are a "
            "week old"
        )
        _tell(path, to_go_on, goes)
        _tell(path, useless, "nobody can go on from them: the next download removes them")


def _tell(path: Path, sizes: list[int], what: str) -> None:
    if sizes:
        files = "half file" if len(sizes) == 1 else "half files"
        click.echo(f"{path}: {len(sizes)} {files} of {size(sum(sizes))}: {what}", err=True)
