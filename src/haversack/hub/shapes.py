"""The shapes that a hub's answers must have, checked where they come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pystac

from haversack.errors import MLHubException

Object = dict[str, Any]
T = TypeVar("T")

_UNREADABLE = (
    pystac.STACError,
    pystac.STACTypeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
_WORDS = {dict: "an object", list: "a list", str: "a text", type(None): "null"}


def an_object(value: Any, hub: str, what: str) -> Object:
    """Give an answer that is an object.

    Examples
    --------
    >>> an_object([1], "https://hub.example/", "Dataset a")
    Traceback (most recent call last):
    haversack.errors.MLHubException: the hub at https://hub.example/ answered a list instead of ...
    """
    if not isinstance(value, dict):
        raise wrong(hub, what, _word(value), "an object")
    return value


def objects(value: Any, hub: str, what: str) -> list[Object]:
    """Give an answer that is a list of objects."""
    if not isinstance(value, list):
        raise wrong(hub, what, _word(value), "a list")
    for one in value:
        if not isinstance(one, dict):
            raise wrong(hub, what, f"a list with {_word(one)} in it", "a list of objects")
    return value


def dataset(value: Any, hub: str, what: str) -> Object:
    """Give an answer that is a dataset: an id, and collections and tags if any."""
    found = an_object(value, hub, what)
    _with_id(found, hub, what)
    for one in objects(found.get("collections") or [], hub, f"collections of {what}"):
        _with_id(one, hub, f"collection of {what}")
        _texts(one.get("types") or [], hub, f"collection types of {what}")
    _texts(found.get("tags") or [], hub, f"tags of {what}")
    return found


def size(answer: Mapping[str, Any], name: str) -> int | None:
    """Give a number of bytes; None where the hub tells none."""
    value = answer.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def stac(read: Callable[[Object], T], value: Object, hub: str, what: str) -> T:
    """Read STAC as pystac does, whose complaints name no hub."""
    try:
        return read(value)
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}"
        raise wrong(hub, what, f"what pystac cannot read ({reason})", "STAC") from None


def wrong(hub: str, what: str, got: str, wanted: str) -> MLHubException:
    """Say what came instead of an answer."""
    return MLHubException(
        f"the hub at {hub} answered {got} instead of {wanted} ({what}): is its root URL right?"
    )


def _with_id(value: Object, hub: str, what: str) -> None:
    if not isinstance(value.get("id"), str):
        raise wrong(hub, what, "an object without an id", "an object with one")


def _texts(value: Any, hub: str, what: str) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise wrong(hub, what, _word(value), "a list of texts")


def _word(value: Any) -> str:
    return _WORDS.get(type(value), "a number")
