"""``haversack repair``: keep what is whole of a damaged dataset or split array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haversack.cli.console import (
    FILE_PATH,
    as_json,
    damage_rows,
    lengths,
    packed_place,
    progress,
    verbosity,
    write_json,
)
from haversack.errors import UsageError

if TYPE_CHECKING:
    from haversack.split import Repaired


@click.command(
    "repair",
    short_help="Keep every whole record of a damaged dataset; write lost metadata of an array.",
    epilog="Example: haversack repair chips --dry-run",
)
@click.argument("path", type=FILE_PATH)
@click.option(
    "--undelete", is_flag=True, help="Where a list of deleted records is lost: take them back."
)
@click.option(
    "--shape",
    metavar="N,...",
    help="Of a split array: its lengths, - for the first of one that grows.",
)
@click.option("--block", metavar="N,...", help="Of a split array: lengths of a block, - for full.")
@click.option("--padding", metavar="N,...", help="Of a split array: its padding, 0 for none.")
@click.option("--dtype", help="Of a split array of which only journals are there.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@verbosity
@as_json
def command(
    *,
    path: Path,
    undelete: bool,
    shape: str | None,
    block: str | None,
    padding: str | None,
    dtype: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Publish a version of the packed dataset PATH (or DiskDataset) that has all that is whole.

    Damaged records are left out, and listed; lost index files and manifests are written anew.
    Nothing is removed: `haversack compact --remove` does that, when no version needs it. Ends with
    1 where something was lost.

    Where PATH is a split array, its stack_metadata.json is written anew, if it is lost or damaged.
    Its blocks tell their dtype and shape; the shape of the array is asked for where it is not
    known. What was damaged is kept beside. Where it is whole, journals of which nobody can tell
    what array they are of are set aside, and listed as lost.
    """
    of_array = {"shape": shape, "block": block, "padding": padding, "dtype": dtype}
    if _is_array(path):
        if undelete:
            raise UsageError(f"--undelete is for packed datasets; {path} is a split array")
        return _repair_array(path, of_array, dry_run=dry_run, as_json=as_json)
    if any(of_array.values()):
        raise UsageError(
            f"--shape, --block, --padding and --dtype are for split arrays, which {path} is not"
        )
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


def _is_array(path: Path) -> bool:
    from haversack.disk.place import is_disk
    from haversack.packed import is_packed
    from haversack.split.dataset import holds_array

    return holds_array(path) and not is_disk(path) and not is_packed(path)


def _repair_array(path: Path, known: dict[str, str | None], *, dry_run: bool, as_json: bool) -> int:
    from haversack.split import repair

    done = repair(
        path,
        lengths("--shape", known["shape"], 0),
        block_size=lengths("--block", known["block"]),
        padding=_padding(known["padding"]),
        dtype=known["dtype"],
        dry_run=dry_run,
    )
    return _tell_of_array(path, done, dry_run=dry_run, as_json=as_json)


def _padding(text: str | None) -> int | tuple[int, ...] | None:
    """Take one number for all axes, or one for each."""
    found = tuple(n or 0 for n in lengths("--padding", text, 0) or ())
    return found if len(found) > 1 else next(iter(found), None)


def _tell_of_array(path: Path, done: Repaired, *, dry_run: bool, as_json: bool) -> int:
    about: dict[str, Any] = {
        "shape": [*done.shape],
        "block": [*done.shape_block],
        "dtype": None if done.dtype is None else str(done.dtype),
        "lost": damage_rows(done.lost),
        "rebuilt": [str(file) for file in done.rebuilt],
        "kept as": None if done.kept_as is None else str(done.kept_as),
    }
    if as_json:
        write_json(about)
        return 1 if done.lost else 0
    for damage in done.lost:
        click.echo(damage)
    array = f"{done.dtype or 'array'} of shape {done.shape} in blocks of {done.shape_block}"
    would = "would be " if dry_run else ""
    if not done.rebuilt:
        aside = f"{len(done.lost)} journals {would}set aside" if done.lost else "nothing to do"
        click.echo(f"{path}: {array}: its metadata are whole, {aside}", err=True)
        return 1 if done.lost else 0
    kept = f", the damaged one {would}kept as {done.kept_as.name}" if done.kept_as else ""
    click.echo(
        f"{path}: {array}: {done.rebuilt[0].name} {would}written anew{kept}, "
        f"{len(done.lost)} losses",
        err=True,
    )
    return 1 if done.lost else 0
