"""``haversack convert``: make a packed dataset of another format, and back."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import as_json, progress, verbosity, write_info
from haversack.errors import UsageError


@click.command(
    "convert",
    short_help="Pack a directory of AcumenIndexer, or write one.",
    epilog="Example: haversack convert old_data chips --dtype float16",
)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(["packed", "acumen"]),
    default="packed",
    show_default=True,
    help="What NEW becomes.",
)
@click.option("--dtype", help="To packed: what OLD was written in. To acumen: what NEW is.")
@click.option("--codec", help="To packed: how records are compressed.  [default: none]")
@verbosity
@as_json
def command(
    *,
    old: Path,
    new: Path,
    to: str,
    dtype: str | None,
    codec: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Turn OLD, a directory of AcumenIndexer (index.csv and chunks), into a packed dataset NEW.

    With --to acumen, turn the packed dataset OLD into such a directory NEW. OLD stays as it is.
    """
    from haversack.convert import export_acumen, import_acumen

    shown = progress(quiet=quiet, as_json=as_json)
    if to == "packed":
        with import_acumen(old, new, dtype=dtype, codec=codec or "none", progress=shown) as packed:
            write_info(packed.info(), as_json=as_json)
        return
    if codec is not None:
        raise UsageError("AcumenIndexer compresses nothing: leave --codec out")
    write_info(export_acumen(old, new, dtype=dtype, progress=shown), as_json=as_json)
