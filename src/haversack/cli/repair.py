"""``haversack repair``: keep what is whole of a damaged packed dataset."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import (
    FILE_PATH,
    as_json,
    damage_rows,
    packed_place,
    progress,
    verbosity,
    write_json,
)


@click.command(
    "repair",
    short_help="Keep every whole record of a damaged dataset.",
    epilog="Example: haversack repair chips --dry-run",
)
@click.argument("path", type=FILE_PATH)
@click.option(
    "--undelete", is_flag=True, help="Where a list of deleted records is lost: take them back."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@verbosity
@as_json
def command(*, path: Path, undelete: bool, dry_run: bool, quiet: bool, as_json: bool) -> int:
    """Publish a version of the packed dataset PATH (or DiskDataset) that has all that is whole.

    Damaged records are left out, and listed; lost index files and manifests are written anew.
    Nothing is removed: `haversack compact --remove` does that, when no version needs it. Ends with
    1 where something was lost.
    """
    from haversack.packed import repair

    done = repair(
        packed_place(path),
        undelete=undelete,
        dry_run=dry_run,
        progress=progress(quiet=quiet, as_json=as_json),
    )
    if as_json:
        write_json(
            {
                "version": done.version,
                "records": done.kept,
                "lost": damage_rows(done.lost),
                "rebuilt": [str(file) for file in done.rebuilt],
            }
        )
    else:
        for damage in done.lost:
            click.echo(damage)
        would = "would be " if dry_run else ""
        click.echo(
            f"{path}: {done.kept:,} records {would}kept in version {done.version}, "
            f"{len(done.rebuilt)} files {would}written anew, {len(done.lost)} losses",
            err=True,
        )
    return 1 if done.lost else 0
