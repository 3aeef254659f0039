"""``haversack configure``: keep a hub's root URL and key in the profiles file."""

from __future__ import annotations

import click


@click.command(
    "configure",
    short_help="Keep the URL and key of a hub.",
    epilog="Example: haversack configure --hub https://hub.example/mlhub/v1/",
)
@click.option("--profile", default="default", show_default=True, help="Section to write.")
@click.option("--hub", metavar="URL", help="Root URL of the hub; asked for when not given.")
@click.option("--api-key", metavar="KEY", help="Asked for, unseen, when not given.")
def command(*, profile: str, hub: str | None, api_key: str | None) -> None:
    """Keep the root URL and the API key of a hub in the profiles file."""
    from haversack.hub.profiles import read_profile, write_profile

    if read_profile(profile):
        click.confirm(f"Overwrite the profile {profile!r}?", abort=True, err=True)
    if hub is None:
        hub = click.prompt("Root URL of the hub (empty: none)", default="", show_default=False)
    if api_key is None:
        api_key = click.prompt("API key", hide_input=True, default="", show_default=False)
    path = write_profile(profile, api_key=api_key or None, root_url=hub or None)
    click.echo(f"Wrote profile to {path}")
