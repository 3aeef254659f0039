"""``haversack pack``: put the images of a downloaded catalog into a packed dataset."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import as_json, progress, verbosity, write_info


@click.command(
    "pack",
    short_help="Put the images of a download into few files.",
    epilog="Example: haversack pack data/my_dataset chips --codec blosc-zstd",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--collection", "collections", multiple=True, help="Only this one (repeatable).")
@click.option("--asset", "asset_keys", multiple=True, help="Only this asset key (repeatable).")
@click.option("--codec", default="none", show_default=True, help="How records are compressed.")
@verbosity
@as_json
def command(
    *,
    source: Path,
    output: Path,
    collections: tuple[str, ...],
    asset_keys: tuple[str, ...],
    codec: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Pack the images of a downloaded dataset SOURCE into a packed dataset OUTPUT.

    One image asset is one record; its metadata are the STAC properties of its item.
    """
    from haversack.convert import pack_catalog

    packed = pack_catalog(
        source,
        output,
        collections=list(collections) or None,
        asset_keys=list(asset_keys) or None,
        codec=codec,
        progress=progress(quiet=quiet, as_json=as_json),
    )
    with packed:
        write_info(packed.info(), as_json=as_json)
