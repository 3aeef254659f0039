"""``haversack pack``: put the images of a downloaded catalog into a packed dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haversack.cli.console import FILE_PATH, as_json, progress, verbosity, write_info, write_json

if TYPE_CHECKING:
    from haversack.packed import Skipped


@click.command(
    "pack",
    short_help="Put the images of a download into few files.",
    epilog="Example: haversack pack data/my_dataset chips --codec blosc-zstd",
)
@click.argument("source", type=FILE_PATH)
@click.argument("output", type=FILE_PATH)
@click.option("--collection", "collections", multiple=True, help="Only this one (repeatable).")
@click.option("--asset", "asset_keys", multiple=True, help="Only this asset key (repeatable).")
@click.option("--codec", default="none", show_default=True, help="How records are compressed.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that read images; by default one below 256 MB, else one for each processor.",
)
@click.option("--skip-errors", is_flag=True, help="Leave out images that cannot be read.")
@verbosity
@as_json
def command(
    *,
    source: Path,
    output: Path,
    collections: tuple[str, ...],
    asset_keys: tuple[str, ...],
    codec: str,
    workers: int | None,
    skip_errors: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Pack the images of a downloaded dataset SOURCE into a packed dataset OUTPUT.

    One image asset is one record; its metadata are the STAC properties of its item. Where it was
    killed or interrupted, the same command goes on.
    """
    from haversack.convert import pack_catalog

    skipped: list[Skipped] = []
    try:
        packed = pack_catalog(
            source,
            output,
            collections=list(collections) or None,
            asset_keys=list(asset_keys) or None,
            codec=codec,
            workers=workers,
            errors="skip" if skip_errors else "raise",
            report=skipped.append,
            progress=progress(quiet=quiet, as_json=as_json),
        )
    except BaseException as error:
        for note in getattr(error, "__notes__", ()):
            click.echo(note, err=True)
        raise
    with packed:
        _write(packed.info(), skipped, as_json=as_json)
    return 1 if skipped else 0


def _write(info: dict[str, Any], skipped: list[Skipped], *, as_json: bool) -> None:
    for each in skipped:
        click.echo(f"left out: {each}", err=True)
    if as_json:
        write_json({**info, "skipped": [asdict(each) for each in skipped]})
        return
    write_info(info, as_json=False)
    if skipped:
        click.echo(f"left out: {len(skipped)} images that cannot be read", err=True)
