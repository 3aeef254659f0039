"""``haversack download``: bring a dataset here, whole or filtered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haversack.cli.console import FILE_PATH, FILLED_TEXT, as_json, progress, verbosity, write_json
from haversack.cli.finding import (
    HubOptions,
    dataset_of_hub,
    is_address,
    looks_like_path,
    refuse_hub,
)
from haversack.cli.hub_options import hub_options
from haversack.errors import PathNotFoundError, UsageError

if TYPE_CHECKING:
    from haversack.download.secrets import Secrets
    from haversack.download.stores import Stores


@click.command(
    "download",
    short_help="Bring a dataset here, whole or filtered.",
    epilog="Example: haversack download my_dataset --collection my_source:B02,B03",
)
@click.argument("source", type=FILLED_TEXT)
@click.option(
    "-o",
    "--output",
    type=FILE_PATH,
    default=Path(),
    show_default=True,
    help="Directory to put it in.",
)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="ID[:KEY,...]",
    help="Only this collection, and of it only these asset keys (repeatable).",
)
@click.option(
    "--datetime",
    metavar="WHEN",
    help="A day (2020-05-17), a moment, or a range (2020-05-01/2020-06-01, ../2020-06-01).",
)
@click.option("--bbox", metavar="W,S,E,N", help="Only items whose bounding box meets this one.")
@click.option(
    "--intersects",
    metavar="FILE",
    help="Only items whose geometry meets this GeoJSON (- is standard input).",
)
@click.option("--role", "roles", multiple=True, help="Only assets with this role (repeatable).")
@click.option(
    "--media-type", "media_types", multiple=True, help="Only this type, as image/* (repeatable)."
)
@click.option("--where", metavar="SQL", help="Only items whose properties satisfy this.")
@click.option(
    "--match",
    type=click.Choice(["geometry", "bbox"]),
    help="Of items, what --intersects looks at.  [default: geometry]",
)
@click.option("--with-sources", is_flag=True, help="Also take what chosen labels were drawn on.")
@click.option("--catalog-only", is_flag=True, help="Bring the catalog, no assets.")
@click.option(
    "--if-exists",
    type=click.Choice(["resume", "skip", "overwrite", "sync"]),
    help="What to do with what is here already.  [default: resume]",
)
@click.option("--sync", is_flag=True, help="Fetch what has changed too (--if-exists sync).")
@click.option("--retry-failed", is_flag=True, help="Fetch only what err_report.csv names.")
@click.option("--name", help="Call the dataset so, not as its catalog or URL does.")
@click.option("--asset-output", type=FILE_PATH, help="Put the assets elsewhere.")
@click.option("--search", is_flag=True, help="SOURCE is a STAC API: search it.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and fetch nothing.")
@click.option("--max-rate", type=float, metavar="MB", help="At most this many MB a second.")
@click.option("--max-requests", type=float, metavar="N", help="At most this many a second.")
@click.option("--netrc", is_flag=True, help="Take names and passwords from ~/.netrc.")
@click.option(
    "--s3-sign", multiple=True, metavar="URL", help="Sign for this S3 host with the AWS_ variables."
)
@click.option(
    "--cloud", is_flag=True, help="Sign for S3, Google, Azure with their own tools' keys."
)
@click.option("--s3-endpoint", metavar="URL", help="Where s3:// is, if not at Amazon.")
@click.option("--requester-pays", is_flag=True, help="With --s3-sign or --cloud: agree to pay.")
@click.option("--allow-host", "allow_hosts", multiple=True, help="Also reach this host.")
@hub_options
@verbosity
@as_json
def command(*, source: str, quiet: bool, as_json: bool, **options: Any) -> int:
    """Download SOURCE: a hub's dataset (id or DOI), an archive, or a STAC catalog.

    A plain name is the hub's dataset, whatever is here; ./NAME is what is here.

    An archive (.tar.gz) or a catalog may be a path or a URL; so may an ItemCollection, a file of
    items (.ndjson, .parquet by path), a list of URLs (.txt), or a folder of files (a URL that ends
    in /, s3://, gs://, az://). What is here already is not fetched again.
    """
    search = options.pop("search")
    hub = {name: options.pop(name) for name in ("hub", "profile", "api_key")}
    arguments = _arguments(options) | {"secrets": _secrets(options), "stores": _stores(options)}
    arguments["progress"] = progress(quiet=quiet, as_json=as_json)
    try:
        report = _download(source, hub, arguments, search=search)
    except KeyboardInterrupt:
        click.echo(f"what is whole is kept: {_how_to_go_on(arguments['if_exists'])}", err=True)
        raise
    if as_json:
        write_json(report.to_dict())
    else:
        click.echo(report)
    return 1 if report.failures else 0


def _how_to_go_on(if_exists: str) -> str:
    if if_exists != "overwrite":
        return "the same command goes on from there"
    return (
        "the same command fetches all of it again; with --sync in place of --if-exists overwrite "
        "it fetches only what is missing or has changed"
    )


def _download(source: str, hub: HubOptions, arguments: dict[str, Any], *, search: bool) -> Any:
    from haversack.download import StacApi, download

    if search or is_address(source):
        secrets = _of_address(source, hub, arguments["secrets"])
        address = StacApi(source) if search else source
        return download(address, raise_errors=False, **arguments | {"secrets": secrets})
    dataset = None
    if not looks_like_path(source):
        dataset = dataset_of_hub(source, hub, arguments["output_dir"])
    if dataset is None:
        refuse_hub(hub, f"{source} is a path")
        return download(source, raise_errors=False, **arguments)
    if arguments.pop("name") is not None:
        raise UsageError("--name is for paths and URLs: a hub's dataset is called as the hub does")
    return dataset.download(raise_errors=False, **arguments)


def _of_address(source: str, hub: HubOptions, secrets: Secrets) -> Secrets:
    """Bind the key that is given with an address to its host."""
    from haversack.download.secrets import Secrets

    refuse_hub({**hub, "api_key": None}, "SOURCE is an address (--api-key goes to its host)")
    key = hub["api_key"]
    return secrets if key is None else Secrets.bearer(source, key).joined(secrets)


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    rate, requests = _limit("max_rate", options), _limit("max_requests", options)
    return {
        "output_dir": options["output"],
        "name": options["name"],
        "asset_output_dir": options["asset_output"],
        "catalog_only": options["catalog_only"],
        "if_exists": _if_exists(options),
        "retry_failed": options["retry_failed"],
        "datetime": options["datetime"],
        "bbox": _bbox(options["bbox"]),
        "intersects": _geojson(options["intersects"]),
        "collection_filter": _collections(options["collections"]),
        "roles": options["roles"] or None,
        "media_types": options["media_types"] or None,
        "where": options["where"],
        "match": _match(options),
        "with_sources": options["with_sources"],
        "dry_run": options["dry_run"],
        "allow_hosts": options["allow_hosts"],
        "max_bytes_per_second": rate and rate * 1e6,
        "max_requests_per_second": requests,
    }


def _limit(name: str, options: dict[str, Any]) -> float | None:
    value: float | None = options[name]
    if value is not None and not value > 0:  # a nan is above nothing
        raise UsageError(f"--{name.replace('_', '-')} is a number above 0, not {value:g}")
    return value


def _if_exists(options: dict[str, Any]) -> str:
    chosen: str | None = options["if_exists"]
    if options["sync"] and chosen not in (None, "sync"):
        raise UsageError(f"--sync is --if-exists sync: leave it out, or --if-exists {chosen}")
    return "sync" if options["sync"] else chosen or "resume"


def _match(options: dict[str, Any]) -> str:
    if options["match"] and options["intersects"] is None:
        raise UsageError("--match goes with --intersects FILE: it says what that looks at")
    return options["match"] or "geometry"


def _secrets(options: dict[str, Any]) -> Secrets:
    from haversack.download.credentials import from_netrc
    from haversack.download.s3 import S3Signature
    from haversack.download.secrets import Secrets

    secrets = Secrets()
    if options["requester_pays"] and not (options["s3_sign"] or options["cloud"]):
        raise UsageError(
            "--requester-pays goes with --s3-sign URL or --cloud, which sign the requests"
        )
    if options["s3_sign"]:
        keys = S3Signature.from_env(requester_pays=options["requester_pays"])
        secrets = Secrets(dict.fromkeys(options["s3_sign"], keys))
    return secrets.joined(from_netrc()) if options["netrc"] else secrets


def _stores(options: dict[str, Any]) -> Stores:
    from haversack.download.stores import Stores

    signed: bool = options["cloud"]
    return Stores(
        signed=signed,
        s3_endpoint=options["s3_endpoint"],
        requester_pays=signed and options["requester_pays"],
    )


def _bbox(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--bbox takes numbers W,S,E,N; got {text!r}") from None


def _geojson(name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
        value: dict[str, Any] = json.loads(text)
    except FileNotFoundError:
        raise PathNotFoundError(
            f"--intersects takes a GeoJSON file: {name} does not exist"
        ) from None
    except OSError as error:
        raise UsageError(f"--intersects takes a GeoJSON file; {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--intersects takes a GeoJSON file; {name}: {error}") from None
    return value


def _collections(texts: tuple[str, ...]) -> dict[str, list[str]] | None:
    chosen: dict[str, list[str]] = {}
    for text in texts:
        name, _, keys = text.partition(":")
        chosen.setdefault(name, []).extend(key for key in keys.split(",") if key)
    return chosen or None
