"""``haversack info``: what stands at a path, or what a hub says of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from haversack.cli.console import (
    as_json,
    looks_like_path,
    of_version,
    open_version,
    verbose,
    write_info,
)
from haversack.cli.hub_options import hub_options
from haversack.errors import HaversackError, NoHubError, PathNotFoundError


@click.command(
    "info",
    short_help="Say what a path or a dataset of a hub holds.",
    epilog="Example: haversack info chips",
)
@click.argument("target")
@of_version
@hub_options
@verbose
@as_json
def command(
    *,
    target: str,
    version: str | None,
    hub: str | None,
    profile: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Say what TARGET is: a path, or the id or DOI of a hub's dataset.

    A path may be a packed dataset, a split array, a DiskDataset, a downloaded catalog or a catalog
    archive (.tar.gz).
    """
    if "://" in target or Path(target).exists() or looks_like_path(target):
        write_info(open_version(target, version).info(), as_json=as_json)
        return
    from haversack.hub import Dataset

    try:
        dataset = Dataset.fetch(target, api_key=api_key, profile=profile, root_url=hub)
    except HaversackError as error:
        # Where no hub is set, a path is what was meant.
        kind = PathNotFoundError if isinstance(error, NoHubError) else type(error)
        raise kind(f"there is no path {target}; as a dataset of a hub: {error}") from error
    write_info(_of_hub(dataset), as_json=as_json)


def _of_hub(dataset: Any) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "title": dataset.title,
        "doi": dataset.doi,
        "citation": dataset.citation,
        "catalog bytes": dataset.stac_catalog_size,
        "estimated bytes": dataset.estimated_dataset_size,
        "collections": [
            {"id": collection.id, "description": collection.description}
            for collection in dataset.collections
        ],
    }
