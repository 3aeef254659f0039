"""``haversack convert``: make a packed dataset of another format, and back."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import as_json, progress, verbosity, write_info
from haversack.errors import FormatError, UsageError
from haversack.events import Listener


@click.command(
    "convert",
    short_help="Take over a directory of AcumenIndexer or bcolz; write one of AcumenIndexer.",
    epilog="Example: haversack convert old_data chips --dtype float16",
)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(["packed", "acumen"]),
    default="packed",
    show_default=True,
    help="What NEW becomes; of a directory of bcolz, packed is a DiskDataset.",
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
    """Turn OLD, which another package wrote, into NEW. OLD stays as it is.

    OLD is a directory of AcumenIndexer (index.csv and chunks), and becomes a packed dataset; or of
    DataKind's storage API (metadata.json and arrays of bcolz), and becomes a DiskDataset. With --to
    acumen OLD is a packed dataset, and becomes a directory of AcumenIndexer.
    """
    from haversack.convert import export_acumen, import_acumen, is_storage

    shown = progress(quiet=quiet, as_json=as_json)
    if to == "packed" and is_storage(old):
        if dtype is not None:
            raise UsageError("a directory of bcolz says its dtypes itself: leave --dtype out")
        _import_bcolz(old, new, codec or "none", shown, as_json=as_json)
        return
    if to == "packed":
        with import_acumen(old, new, dtype=dtype, codec=codec or "none", progress=shown) as packed:
            write_info(packed.info(), as_json=as_json)
        return
    if codec is not None:
        raise UsageError("AcumenIndexer compresses nothing: leave --codec out")
    write_info(export_acumen(old, new, dtype=dtype, progress=shown), as_json=as_json)


def _import_bcolz(old: Path, new: Path, codec: str, shown: Listener, *, as_json: bool) -> None:
    from haversack.convert import import_bcolz

    made = import_bcolz(old, new, codec=codec, progress=shown)
    told = {"missing": made.missing, "damaged": made.damaged}
    for each in (*made.missing, *made.damaged):
        click.echo(f"left out: {each}", err=True)
    with made.dataset as dataset:
        lists = {name: list(map(str, found)) for name, found in told.items()} if as_json else {}
        write_info(dataset.info() | lists, as_json=as_json)
    if made.damaged:
        raise FormatError(
            f"{len(made.damaged)} images of {old} could not be taken over; all others are in {new}"
        )
