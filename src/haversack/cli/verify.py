"""``haversack verify``: check every byte against its checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from haversack.cli.console import (
    as_json,
    damage_rows,
    of_version,
    open_version,
    progress,
    size,
    verbosity,
    write_json,
)
from haversack.errors import IntegrityError


@click.command(
    "verify",
    short_help="Check every byte against its checksum.",
    epilog="Example: haversack verify chips",
)
@click.argument("path", type=click.Path(path_type=Path))
@of_version
@verbosity
@as_json
def command(*, path: Path, version: str | None, quiet: bool, as_json: bool) -> int:
    """Check everything at PATH against its checksums and name what is damaged.

    Half files of a download are no damage; they are counted.
    """
    opened = open_version(path, version)
    found = opened.verify(progress=progress(quiet=quiet, as_json=as_json))
    if as_json:
        write_json(damage_rows(found))
    else:
        for damage in found:
            click.echo(damage)
        click.echo(
            f"{path}: {len(found)} damaged" if found else f"{path}: no damage found", err=True
        )
        _tell_of_halves(opened, path)
    return IntegrityError.exit_code if found else 0


def _tell_of_halves(opened: Any, path: Path) -> None:
    from haversack.catalog import Catalog

    if isinstance(opened, Catalog) and path.is_dir():
        from haversack.download.leftovers import count_halves

        count, size_of_all = count_halves(path)
        if count:
            click.echo(
                f"{path}: {count} half files of {size(size_of_all)}: the same download goes on "
                "from them, and a later one removes them when they are a week old",
                err=True,
            )
