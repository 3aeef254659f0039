"""List the files of a folder on the web: of a web server's index, of S3, of Azure, of Google.

A catalog is made of them: an item for each file, in the collection of its first folder.
"""

from __future__ import annotations

import base64
import binascii
import html
import posixpath
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from mimetypes import guess_type
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, urlencode, urljoin, urlsplit

from haversack.download.origin import shown
from haversack.download.sources.document import Asker, Document, Documents
from haversack.errors import UnexpectedAnswerError, UsageError

_LOOSE = "items"
_MOST_FOLDERS = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a listing: its path below the folder, its address, and what is told of it."""

    path: str
    url: str
    size: int | None = None
    md5: str | None = None


def is_listing(source: str) -> bool:
    """Tell a folder from anything else, by its address alone."""
    scheme = source.partition("://")[0].lower()
    return scheme in _STORES or (scheme in {"http", "https"} and urlsplit(source).path[-1:] == "/")


def listed(asker: Asker, source: str) -> Documents:
    """Give an item for each file below a folder."""
    scheme = source.partition("://")[0].lower()
    entries = _STORES[scheme](asker, source) if scheme in _STORES else _index(asker, source)
    yield from items_of(entries)


def place_of(source: str) -> str:
    """Give the address that a store's folder is asked for at."""
    scheme, _, rest = source.partition("://")
    if scheme.lower() not in _STORES:
        return source
    name = rest.partition("/")[0]
    return {
        "s3": f"https://{name}.s3.amazonaws.com/",
        "gs": "https://storage.googleapis.com/",
        "az": f"https://{name}.blob.core.windows.net/",
    }[scheme.lower()]


def items_of(entries: Iterator[Entry]) -> Documents:
    """Make an item for each file, named by its path; two of one name differ by their suffix."""
    taken: set[tuple[str, str]] = set()
    for entry in entries:
        folder, _, rest = entry.path.rpartition("/")
        collection, _, inner = folder.partition("/")
        collection = collection or _LOOSE
        whole = "__".join([*filter(None, inner.split("/")), rest])
        name = posixpath.splitext(whole)[0] or whole
        name = whole if (collection, name) in taken else name
        taken.add((collection, name))
        yield _item(entry, collection, name), collection


def _item(entry: Entry, collection: str, name: str) -> Document:
    asset: dict[str, Any] = {"href": entry.url, "roles": ["data"]}
    kind = guess_type(entry.path)[0]
    asset |= {"type": kind} if kind else {}
    asset |= {"file:size": entry.size} if entry.size is not None else {}
    asset |= {"file:checksum": f"d50110{entry.md5}"} if entry.md5 else {}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": None,
        "properties": {"datetime": None},
        "links": [],
        "assets": {"data": asset},
    }


# A web server's index


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _index(asker: Asker, source: str) -> Iterator[Entry]:
    root = source.partition("?")[0].partition("#")[0]
    waiting, seen = deque([root]), {root}
    while waiting:
        folder = waiting.popleft()
        for url in _below(asker, folder):
            if url in seen:
                continue
            seen.add(url)
            if url.endswith("/"):
                waiting.append(url)
            else:
                yield Entry(unquote(url[len(root) :]), url)
        if len(seen) > _MOST_FOLDERS * 100:
            raise UnexpectedAnswerError(f"{shown(source)} lists files without an end")


def _below(asker: Asker, folder: str) -> list[str]:
    """Give what a page links to below itself: no parents, no other orders of the same."""
    answer = asker.get(folder)
    if not answer.headers.get("content-type", "text/html").startswith("text/html"):
        raise UnexpectedAnswerError(f"{shown(folder)} is no list of files: it is no web page")
    anchors = _Anchors()
    anchors.feed(answer.body.decode("utf-8", "replace"))
    found = (urljoin(folder, href).partition("#")[0] for href in anchors.hrefs)
    inside = [url for url in found if url.startswith(folder) and url != folder and "?" not in url]
    return [url for url in inside if ".." not in unquote(url).split("/")]


# Stores


def _s3(asker: Asker, source: str) -> Iterator[Entry]:
    bucket, prefix = _named(source)
    yield from _keys(asker, f"https://{bucket}.s3.amazonaws.com/", prefix)


def _google(asker: Asker, source: str) -> Iterator[Entry]:
    bucket, prefix = _named(source)
    yield from _keys(asker, f"https://storage.googleapis.com/{quote(bucket)}/", prefix)


def _keys(asker: Asker, base: str, prefix: str) -> Iterator[Entry]:
    """List as S3 does (ListObjectsV2)."""
    more: dict[str, str] = {}
    while True:
        # Without it a name that XML cannot hold comes as another one.
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url", **more}
        text = asker.get(f"{base}?{urlencode(query)}").body.decode("utf-8", "replace")
        plain = unquote_plus if _text(text, "EncodingType") == "url" else str
        for one in _parts(text, "Contents"):
            key, size = plain(_text(one, "Key") or ""), _text(one, "Size")
            if key and not key.endswith("/"):
                yield _entry(base, prefix, key, size)
        token = _text(text, "NextContinuationToken")
        if not token or token == more.get("continuation-token"):
            return
        more = {"continuation-token": token}


def _azure(asker: Asker, source: str) -> Iterator[Entry]:
    account, rest = _named(source)
    container, _, prefix = rest.partition("/")
    base = f"https://{account}.blob.core.windows.net/{quote(container)}/"
    marker = ""
    while True:
        query = {"restype": "container", "comp": "list", "prefix": prefix, "marker": marker}
        answer = asker.get(f"{base.rstrip('/')}?{urlencode(query)}")
        text = answer.body.decode("utf-8-sig", "replace")
        for one in _parts(text, "Blob"):
            name = _text(one, "Name")
            if name and not name.endswith("/"):
                md5 = _text(one, "Content-MD5")
                yield _entry(base, prefix, name, _text(one, "Content-Length"), md5)
        before, marker = marker, _text(text, "NextMarker") or ""
        if not marker or marker == before:
            return


def _entry(base: str, prefix: str, key: str, size: str | None, md5: str | None = None) -> Entry:
    folder = prefix[: prefix.rfind("/") + 1]
    length = int(size) if size and size.isdecimal() else None
    return Entry(key[len(folder) :], base + quote(key), length, _hex(md5))


def _hex(md5: str | None) -> str | None:
    try:
        raw = base64.b64decode(md5 or "", validate=True)
    except binascii.Error:
        return None
    return raw.hex() if len(raw) == 16 else None


def _parts(text: str, tag: str) -> Iterator[str]:
    # These answers are flat, and a whole XML parser would follow what they declare.
    return (found.group(1) for found in re.finditer(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL))


def _text(part: str, tag: str) -> str | None:
    found = re.search(rf"<{tag}>([^<]*)</{tag}>", part)
    return html.unescape(found.group(1)) if found else None


def _named(source: str) -> tuple[str, str]:
    name, _, rest = source.partition("://")[2].partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{source!r} names no bucket or account")
    return name, rest


_STORES: dict[str, Callable[[Asker, str], Iterator[Entry]]] = {
    "s3": _s3,
    "gs": _google,
    "az": _azure,
}
