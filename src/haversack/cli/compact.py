"""``haversack compact``: write a packed dataset anew without what is deleted, and remove files."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import FILE_PATH, as_json, packed_place, progress, verbosity, write_info


@click.command(
    "compact",
    short_help="Rewrite a packed dataset without what is deleted.",
    epilog="Example: haversack compact chips --remove --keep 1",
)
@click.argument("path", type=FILE_PATH)
@click.option("--remove", is_flag=True, help="Remove files that no kept version needs.")
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="With --remove: keep only the newest N versions, and the tagged ones.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@verbosity
@as_json
def command(
    *, path: Path, remove: bool, keep: int | None, dry_run: bool, quiet: bool, as_json: bool
) -> None:
    """Rewrite what is partly deleted in the packed dataset PATH, and merge small chunks.

    PATH may be a DiskDataset too.

    Others may read and write meanwhile. Older versions keep their files, so that the disk is fuller
    than before until --remove removes those that no kept version needs and that are older than a
    day.
    """
    from haversack.packed import compact

    done = compact(
        packed_place(path),
        remove=remove,
        keep=keep,
        dry_run=dry_run,
        progress=progress(quiet=quiet, as_json=as_json),
    )
    info = {
        "version": done.version,
        "chunks rewritten": done.chunks,
        "into": done.into,
        "deleted records left out": done.records,
        "bytes saved in this version": done.bytes,
    }
    if remove:
        info |= {
            "versions forgotten": done.removed.versions,
            "files removed": len(done.removed.files),
            "bytes removed": done.removed.bytes,
        }
    write_info(info, as_json=as_json)
