"""``haversack convert``: make a packed dataset or a split array of another format, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from haversack.cli.console import (
    FILE_PATH,
    FILLED_TEXT,
    as_json,
    lengths,
    progress,
    verbosity,
    write_info,
)
from haversack.errors import FormatError, UsageError
from haversack.events import Listener
from haversack.storage.looking import exists

_OF_ARRAYS = {".npy", ".h5", ".hdf5", ".zarr", ".tif", ".tiff"}


@click.command(
    "convert",
    short_help="Take over what another program wrote; write what another program reads.",
    epilog="Example: haversack convert old_data chips --dtype float16",
)
@click.argument("old", type=FILE_PATH)
@click.argument("new", type=FILE_PATH)
@click.option(
    "--to",
    type=click.Choice(["packed", "acumen", "split", "npy", "hdf5", "zarr", "ome-zarr"]),
    default="packed",
    show_default=True,
    help="What NEW becomes; of a directory of bcolz, packed is a DiskDataset.",
)
@click.option(
    "--dtype",
    type=FILLED_TEXT,
    help="To packed: what OLD was written in. To acumen: what NEW is.",
)
@click.option(
    "--codec", type=FILLED_TEXT, help="To packed: how records are compressed.  [default: none]"
)
@click.option(
    "--block",
    type=FILLED_TEXT,
    metavar="N,...",
    help="To split: shape of a block, - for a full length.  [default: what OLD has, or 64 MiB]",
)
@click.option(
    "--layout",
    type=click.Choice(["frames", "balanced", "traces"]),
    help="To split: what is to be read fastest.  [default: balanced]",
)
@click.option(
    "--dataset",
    type=FILLED_TEXT,
    metavar="NAME",
    help="To split: which array of an HDF5 or Zarr file, where there are several.",
)
@verbosity
@as_json
def command(
    *,
    old: Path,
    new: Path,
    to: str,
    dtype: str | None,
    codec: str | None,
    block: str | None,
    layout: str | None,
    dataset: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Turn OLD, which another package wrote, into NEW. OLD stays as it is.

    OLD is a directory of AcumenIndexer (index.csv and chunks), and becomes a packed dataset; or of
    DataKind's storage API (metadata.json and arrays of bcolz), and becomes a DiskDataset. With --to
    acumen OLD is a packed dataset, and becomes a directory of AcumenIndexer.

    With --to split OLD is a .npy or HDF5 file, Zarr, TIFF files, a packed dataset or a split array;
    with --to npy, hdf5, zarr or ome-zarr it is a split array.
    """
    from haversack.convert import export_acumen, import_acumen, is_storage

    shown = progress(quiet=quiet, as_json=as_json)
    if to != "split" and (block or layout or dataset):
        raise UsageError("--block, --layout and --dataset are for --to split")
    if to not in {"packed", "acumen"}:
        if dtype or codec:
            raise UsageError("--dtype and --codec are for packed datasets and AcumenIndexer")
        options = {"layout": layout, "dataset": dataset}
        given = {name: value for name, value in options.items() if value is not None}
        write_info(_convert_array(old, new, to, block, given, shown), as_json=as_json)
        return
    _refuse_array(old, to)
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


def _refuse_array(old: Path, to: str) -> None:
    from haversack.split import is_split

    if is_split(old):
        raise UsageError(
            f"{old} is a split array, which does not become {to}: give --to split, npy, hdf5, zarr "
            "or ome-zarr"
        )
    if to == "packed" and old.suffix.lower() in _OF_ARRAYS and exists(old):
        raise UsageError(f"{old} does not become packed: give --to split for the array in it")


def _convert_array(
    old: Path, new: Path, to: str, block: str | None, options: dict[str, Any], shown: Listener
) -> dict[str, Any]:
    from haversack.convert import export_array, import_array
    from haversack.split import SplitDataset

    if to != "split":
        dataset = SplitDataset(old)
        export_array(dataset, new, to, progress=shown)
        return {"path": str(new), "format": to, "shape": list(dataset.shape)}
    size = lengths("--block", block)
    return import_array(old, new, block_size=size, progress=shown, **options).info()


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
