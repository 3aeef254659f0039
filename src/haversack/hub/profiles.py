"""The profiles file: which hub, and with which key.

It is ``${MLHUB_HOME:-~/.mlhub}/profiles``, an INI file that only its owner can read::

    [default]
    api_key = ...
    root_url = https://hub.example/mlhub/v1/
"""

from __future__ import annotations

import io
import logging
import os
from configparser import ConfigParser, Error
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from haversack.download.origin import Origin, shown
from haversack.errors import ProfilesError, UsageError
from haversack.storage.publish import make_directory, replace

DEFAULT_PROFILE = "default"

log = logging.getLogger("haversack.hub")
_told = set[Path]()  # files that others can read


@dataclass(frozen=True, slots=True)
class Profile:
    """One section of the profiles file.

    ``key_in_query`` (``send_key = query`` in the file) is for hubs that know no bearer tokens: the
    key then goes into the URL of each request, as the old client sent it.
    """

    name: str
    api_key: str | None = field(default=None, repr=False)
    root_url: str | None = None
    key_in_query: bool = False


def profiles_path() -> Path:
    """Say where the profiles file is, whether or not it exists."""
    home = os.environ.get("MLHUB_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".mlhub") / "profiles"


def read_profile(name: str = DEFAULT_PROFILE) -> Profile | None:
    """Read a profile; None when the file or the section does not exist.

    Raises
    ------
    ProfilesError
        The file cannot be read or is no INI file.
    """
    file = _read()
    if not file.has_section(name):
        return None
    section = file[name]
    key = section.get("api_key") or None
    if key is not None:
        _warn_if_open(profiles_path())
    return Profile(
        name,
        key,
        section.get("root_url") or None,
        section.get("send_key", "bearer").strip().lower() == "query",
    )


def _warn_if_open(path: Path) -> None:
    """Say once that others can read the keys; where the system has no such permissions, never."""
    if os.name != "posix" or path in _told:
        return
    with suppress(OSError):  # gone meanwhile
        if path.stat().st_mode & 0o077:
            _told.add(path)
            log.warning("%s holds API keys, and others can read it: run `chmod 600 %s`", path, path)


def write_profile(
    name: str = DEFAULT_PROFILE, *, api_key: str | None = None, root_url: str | None = None
) -> Path:
    """Write the key and the hub of a profile, keeping its other options and the other profiles.

    Parameters
    ----------
    name
        Section of the file.
    api_key, root_url
        What to keep; None leaves it out.

    Returns
    -------
    Path
        The file, readable by its owner alone.

    Raises
    ------
    ProfilesError
        The file that is there cannot be read.
    UsageError
        The name, the key or the URL would not be read as it was written.

    Examples
    --------
    >>> import os, tempfile
    >>> os.environ["MLHUB_HOME"] = tempfile.mkdtemp()
    >>> path = write_profile(api_key="my-key", root_url="https://hub.example/mlhub/v1/")
    >>> read_profile()
    Profile(name='default', root_url='https://hub.example/mlhub/v1/', key_in_query=False)
    >>> del os.environ["MLHUB_HOME"]
    """
    path, file = profiles_path(), _read()
    _check(name, api_key, root_url)
    if not file.has_section(name):
        file.add_section(name)
    for option, value in {"api_key": api_key, "root_url": root_url}.items():
        file.remove_option(name, option)
        if value is not None:
            file.set(name, option, value)
    text = io.StringIO()
    file.write(text)
    real = path.resolve()  # the file may be a link into somebody's own collection of settings
    make_directory(real.parent)
    replace(real, text.getvalue().encode(), mode=0o600)
    return path


def _check(name: str, api_key: str | None, root_url: str | None) -> None:
    if not name.strip() or name != name.strip() or not name.isprintable() or set(name) & set("[]"):
        raise UsageError(
            f"{name!r} is no name for a profile: it is empty, or has brackets, control characters "
            "or spaces around it"
        )
    if api_key is not None and not api_key.isprintable():
        raise UsageError("the API key holds control characters, which no key has")
    if root_url is not None and not _is_root(root_url):
        raise UsageError(
            f"{shown(root_url)!r} is no root URL of a hub: it looks like "
            "https://hub.example/mlhub/v1/"
        )


def _is_root(url: str) -> bool:
    try:
        return url.isprintable() and bool(Origin.of(url).host)
    except UsageError:
        return False


def _read() -> ConfigParser:
    path = profiles_path()
    # Keys may hold a percent sign; no section lends its options to the others.
    file = ConfigParser(interpolation=None, default_section="\0")
    try:
        file.read_string(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        pass
    except (Error, ValueError, OSError) as error:
        # The parser's own message would show the line, which may be a key.
        raise ProfilesError(
            f"cannot read {path} ({type(error).__name__}): mend it, or remove it and run "
            "`haversack configure`"
        ) from None
    return file
