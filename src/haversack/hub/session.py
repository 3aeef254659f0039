"""A session with a hub: its root URL, its key, and the questions asked with them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlunsplit

from haversack.download.addresses import is_loopback
from haversack.download.http import Response, request
from haversack.download.origin import Origin, canonical, joined, parsed, shown
from haversack.download.secrets import Secrets
from haversack.errors import (
    APIKeyNotFound,
    AuthenticationError,
    DownloadError,
    EntityDoesNotExist,
    MLHubException,
    NoHubError,
    ProfilesError,
    UnsupportedError,
    UsageError,
)
from haversack.hub import shapes
from haversack.hub.profiles import DEFAULT_PROFILE, Profile, profiles_path, read_profile
from haversack.hub.shapes import Object

ANONYMOUS_PROFILE = "__anonymous__"
API_PATH = "/mlhub/v1/"
Parameters = Mapping[str, str | int | Sequence[str] | None]

_SILENCE, _PATIENCE = 10.0, 12.0  # seconds: a silent hub is asked twice, within about 20

log = logging.getLogger("haversack.hub")
_CLOSED = (
    "no hub is set: the hosted Radiant MLHub is closed. Name the root URL of another one with "
    "`haversack configure` or MLHUB_ROOT_URL, or serve a directory of datasets yourself with "
    "`haversack serve`"
)


class Session:
    """Ask one hub, with one key.

    Parameters
    ----------
    api_key
        Key, sent to the hub's own origin only; None asks without one.
    root_url
        Root of its API, such as ``https://hub.example/mlhub/v1/``; by default ``MLHUB_ROOT_URL``.
        A bare host means its ``/mlhub/v1/``.
    key_in_query
        Send the key as ``?key=`` instead of as a bearer token.

    Raises
    ------
    MLHubException
        No hub is set.

    Examples
    --------
    >>> session = Session(api_key="my-key", root_url="https://hub.example")
    >>> session
    Session(https://hub.example/mlhub/v1/, with a key)
    >>> session.url("datasets")
    'https://hub.example/mlhub/v1/datasets'
    """

    def __init__(
        self, *, api_key: str | None, root_url: str | None = None, key_in_query: bool = False
    ) -> None:
        _check_text("api_key", api_key)
        _check_text("root_url", root_url)
        root = root_url or os.environ.get("MLHUB_ROOT_URL")
        if not root:
            raise NoHubError(_CLOSED)
        self.root_url = _root(root)
        self.secrets = Secrets()
        if api_key is not None:
            bind = Secrets.in_query if key_in_query else Secrets.bearer
            self.secrets = bind(self.root_url, _checked(api_key))

    @classmethod
    def from_env(cls) -> Session:
        """Open a session with the key in ``MLHUB_API_KEY``."""
        key = os.environ.get("MLHUB_API_KEY")
        if not key:
            raise APIKeyNotFound("no API key: MLHUB_API_KEY is not set")
        return cls(api_key=key)

    @classmethod
    def from_config(cls, profile: str | None = None) -> Session:
        """Open a session with a section of the profiles file."""
        name = profile or os.environ.get("MLHUB_PROFILE") or DEFAULT_PROFILE
        found = read_profile(name)
        if found is None or found.api_key is None:
            raise _no_profile(name)
        return _of_profile(found, None)

    def __repr__(self) -> str:
        return f"Session({self.root_url}, {'with a' if self.secrets else 'without'} key)"

    def url(self, path: str, parameters: Parameters | None = None) -> str:
        """Write the URL of a path below the root."""
        url = joined(self.root_url, path.lstrip("/"))
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        return f"{url}?{urlencode(given, doseq=True)}" if given else url

    def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """Ask for JSON.

        Parameters
        ----------
        path
            Below the root, or a whole URL; only the hub's own origin gets the key.
        parameters
            Query parameters; lists are repeated, None is left out.

        Raises
        ------
        AuthenticationError
            The hub refuses the key, or asks for one.
        EntityDoesNotExist
            There is no such thing.
        MLHubException
            The hub is not reached, or fails.
        """
        url = self.url(path, parameters)
        try:
            answer = request(
                "GET",
                url,
                headers={"Accept": "application/json"},
                secrets=self.secrets,
                source_origin=self.root_url,
                timeout=_SILENCE,
                patience=_PATIENCE,
            )
            self._judge(answer)
            return answer.json()
        except (DownloadError, UsageError) as error:
            raise MLHubException(f"the hub at {self.root_url} does not answer: {error}") from error

    def paginate(self, path: str, parameters: Parameters | None = None) -> Iterator[Object]:
        """Give page after page, following ``next`` links."""
        url, seen = self.url(path, parameters), set[str]()
        while url not in seen:
            seen.add(url)
            page = shapes.an_object(self.get(url), self.root_url, path)
            yield page
            links = shapes.objects(page.get("links") or [], self.root_url, path)
            target = next((link.get("href") for link in links if link.get("rel") == "next"), None)
            if not target:
                return
            if not isinstance(target, str):
                raise shapes.wrong(self.root_url, path, "a link of another kind", "a URL")
            url = self._as_safe(self._next(url, target, path))

    def _next(self, url: str, target: str, path: str) -> str:
        try:
            return joined(url, target)
        except UsageError as error:
            raise shapes.wrong(self.root_url, path, f"a link ({error})", "a URL") from None

    def _as_safe(self, url: str) -> str:
        """Ask the hub's own host by https where the hub itself is asked so."""
        parts, root = parsed(url), parsed(self.root_url)
        if root.scheme == "https" and parts.scheme == "http" and parts.hostname == root.hostname:
            return urlunsplit(parts._replace(scheme="https", netloc=root.netloc))
        return url

    def _judge(self, answer: Response) -> None:
        if answer.status in (401, 403):
            raise AuthenticationError(self._refusal())
        where = shown(answer.url)
        if answer.status == 404:
            raise EntityDoesNotExist(f"the hub has nothing at {where}")
        if not 200 <= answer.status < 300:
            raise MLHubException(f"the hub at {self.root_url} fails: {where}: HTTP {answer.status}")

    def _refusal(self) -> str:
        if self.secrets:
            return f"the hub at {self.root_url} refuses the API key: check it with its owner"
        return (
            f"the hub at {self.root_url} asks for an API key: give api_key=, set MLHUB_API_KEY, "
            "or run `haversack configure`"
        )


def get_session(
    *, api_key: str | None = None, profile: str | None = None, root_url: str | None = None
) -> Session:
    """Open a session with the key and the hub that the arguments or the environment name.

    The key is, in this order: ``api_key``; ``MLHUB_API_KEY``; none for the profile
    ``__anonymous__``; that of ``profile``, of ``MLHUB_PROFILE``, or of the profile ``default``. The
    hub is: ``root_url``; ``MLHUB_ROOT_URL``; that of the same profile. A profile's key goes to the
    profile's hub only. Without any key the hub is asked without one.

    Raises
    ------
    APIKeyNotFound
        The profile that was named does not exist, and no key is given otherwise.
    ProfilesError
        The profiles file is needed, and damaged.
    MLHubException
        No hub is set.

    Examples
    --------
    >>> get_session(api_key="my-key", root_url="https://hub.example/mlhub/v1/")
    Session(https://hub.example/mlhub/v1/, with a key)
    """
    for what, value in {"api_key": api_key, "profile": profile, "root_url": root_url}.items():
        _check_text(what, value)
    name = profile or os.environ.get("MLHUB_PROFILE") or DEFAULT_PROFILE
    key = api_key or os.environ.get("MLHUB_API_KEY")
    root = root_url or os.environ.get("MLHUB_ROOT_URL")
    found = None if name == ANONYMOUS_PROFILE else _profile(name, needed=not (key and root))
    root = root or (found.root_url if found else None)
    if key and found is None and name not in (DEFAULT_PROFILE, ANONYMOUS_PROFILE):
        log.warning("%s has no profile %r: the key that is given goes first", profiles_path(), name)
    if key or name == ANONYMOUS_PROFILE:
        return Session(api_key=key, root_url=root, key_in_query=bool(found and found.key_in_query))
    if found is None:
        if name != DEFAULT_PROFILE:
            raise _no_profile(name)
        return Session(api_key=None, root_url=root)
    return _of_profile(found, root)


def _profile(name: str, *, needed: bool) -> Profile | None:
    try:
        return read_profile(name)
    except ProfilesError as error:
        if needed:
            raise
        log.warning("%s; the hub and the key that are given are used without it", error)
        return None


def _of_profile(profile: Profile, root: str | None) -> Session:
    own = profile.root_url
    root = root or os.environ.get("MLHUB_ROOT_URL") or own
    if not root:
        raise NoHubError(_CLOSED)
    elsewhere = own is not None and Origin.of(_root(own)) != Origin.of(_root(root))
    if elsewhere and profile.api_key:
        log.info(
            "the key of profile %r is not sent to %s, which is another hub",
            profile.name,
            shown(root),
        )
    key = None if elsewhere else profile.api_key
    return Session(api_key=key, root_url=root, key_in_query=profile.key_in_query)


def _no_profile(name: str) -> APIKeyNotFound:
    return APIKeyNotFound(
        f"no API key: {profiles_path()} has no profile {name!r} with one; write it with "
        f"`haversack configure --profile {name}`"
    )


def _root(url: str) -> str:
    try:
        parts = parsed(canonical(url if "://" in url else f"{_scheme(url)}://{url}"))
    except UsageError as error:
        raise MLHubException(f"the root URL of the hub is no URL: {error}") from None
    path = API_PATH if parts.path in ("", "/") else f"{parts.path.rstrip('/')}/"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _scheme(url: str) -> str:
    return "http" if is_loopback(parsed(f"//{url}").hostname or "") else "https"


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str | None):
        # What is meant for a key is not shown.
        raise UnsupportedError(f"{what} is a text or None, not {type(value).__name__}")


def _checked(key: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise AuthenticationError("the API key holds characters that no key has")
    return key
