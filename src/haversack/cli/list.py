"""``haversack list``: which datasets a hub has."""

from __future__ import annotations

import click

from haversack.cli.console import as_json, verbose, write_json, write_rows
from haversack.cli.hub_options import hub_options


@click.command(
    "list",
    short_help="List the datasets of a hub.",
    epilog='Example: haversack list --tag crops --text "land cover"',
)
@click.option("--tag", "tags", multiple=True, help="Only datasets with this tag (repeatable).")
@click.option("--text", multiple=True, help="Only datasets with this phrase (repeatable).")
@hub_options
@verbose
@as_json
def command(
    *,
    tags: tuple[str, ...],
    text: tuple[str, ...],
    hub: str | None,
    profile: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """List the datasets of a hub.

    Tags must match exactly, texts are phrases looked for in all the metadata; a dataset must match
    all that are given.
    """
    from haversack.hub import client

    found = client.list_datasets(
        tags=list(tags) or None,
        text=list(text) or None,
        api_key=api_key,
        profile=profile,
        root_url=hub,
    )
    if as_json:
        write_json(found)
    elif found:
        write_rows([_row(dataset) for dataset in found])
    else:
        click.echo("no dataset matches", err=True)


def _row(dataset: dict[str, object]) -> dict[str, object]:
    return {name: dataset.get(name) for name in ("id", "title", "tags")}
