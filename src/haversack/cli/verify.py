"""``haversack verify``: check every byte against its checksum."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import (
    as_json,
    damage_rows,
    of_version,
    open_version,
    progress,
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
    """Check everything at PATH against its checksums and name what is damaged."""
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
    return IntegrityError.exit_code if found else 0
