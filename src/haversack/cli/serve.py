"""``haversack serve``: a hub from a directory of datasets."""

from __future__ import annotations

from pathlib import Path

import click

from haversack.cli.console import FILE_PATH


@click.command(
    "serve",
    short_help="Serve a directory of datasets.",
    epilog="Example: haversack serve data --port 8000",
)
@click.argument("root", type=FILE_PATH, default=Path())
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--api-key",
    envvar="HAVERSACK_API_KEY",
    help="Ask for this key (safer: the variable HAVERSACK_API_KEY).",
)
@click.option("--base-url", metavar="URL", help="How clients reach it, behind a proxy.")
def command(*, root: Path, host: str, port: int, api_key: str | None, base_url: str | None) -> None:
    """Serve the datasets in the directory ROOT through the MLHub API, until Ctrl-C.

    ROOT holds one directory per dataset, as `haversack download` lays them out.
    """
    from haversack.server import serve

    serve(root, host=host, port=port, api_key=api_key, base_url=base_url, ready=_say)


def _say(url: str) -> None:
    click.echo(f"serving at {url}  (Ctrl-C ends it)", err=True)
    click.echo(f"  export MLHUB_ROOT_URL={url}/mlhub/v1/", err=True)
