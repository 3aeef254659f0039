"""Pages of a collection's items: ``limit`` and ``token`` as the old hub takes them."""

from __future__ import annotations

from bisect import bisect_left
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

_LIMIT, _LARGEST_LIMIT = 10, 10_000


def limit_of(query: QueryParams) -> int:
    """Read how many items a page shall have; 10 unless told."""
    asked = query.get("limit", str(_LIMIT))
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        raise HTTPException(400, f"limit must be a number from 1 to {_LARGEST_LIMIT}.")
    if not 1 <= int(asked) <= _LARGEST_LIMIT:
        raise HTTPException(400, f"limit must be from 1 to {_LARGEST_LIMIT}.")
    return int(asked)


def start_of(query: QueryParams, ids: list[str], limit: int) -> int:
    """Find where a page starts among the sorted ids: ``next:ID`` after it, ``prev:ID`` before."""
    token = query.get("token")
    if token is None:
        return 0
    way, _, ident = token.partition(":")
    place = bisect_left(ids, ident)
    if way not in {"next", "prev"} or place == len(ids) or ids[place] != ident:
        raise HTTPException(400, "No such token: follow the links of a page.")
    return place + 1 if way == "next" else max(0, place - limit)


def page_links(here: str, ids: list[str], start: int, limit: int) -> list[dict[str, str]]:
    """Link to the next and the previous page, where there are such.

    Examples
    --------
    >>> [link["href"] for link in page_links("/items", ["a", "b", "c"], 1, 1)]
    ['/items?limit=1&token=next%3Ab', '/items?limit=1&token=prev%3Ab']
    """
    links = []
    if start + limit < len(ids):
        links.append(_link("next", here, limit, ids[start + limit - 1]))
    if start > 0:
        ident = ids[start] if start < len(ids) else ids[-1]
        links.append(_link("previous", here, limit, ident))
    return links


def _link(rel: str, here: str, limit: int, ident: str) -> dict[str, str]:
    way = "next" if rel == "next" else "prev"
    query = urlencode({"limit": limit, "token": f"{way}:{ident}"})
    return {"rel": rel, "href": f"{here}?{query}", "method": "GET", "type": "application/geo+json"}
