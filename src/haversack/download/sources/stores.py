"""List the files of a folder in a store: S3, Google's, Azure."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote, unquote_plus, urlencode

from haversack.catalog.times import microseconds, show
from haversack.download import buckets
from haversack.download.cloud import CloudSignature
from haversack.download.origin import Origin, shown
from haversack.download.sources.document import Asker
from haversack.download.sources.endless import Pages
from haversack.download.sources.entries import Entry
from haversack.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class _Object:
    """What a store tells of an object."""

    key: str
    size: str | None
    modified: str | None
    md5: str | None = None


_Pages = Callable[[Asker, str, str], Iterator[_Object]]


def s3(asker: Asker, source: str) -> Iterator[Entry]:
    """List a folder of S3."""
    bucket, prefix = _named(source)
    base = asker.access.stores.url(f"s3://{bucket}/") or ""
    if "." in bucket and base == buckets.s3(bucket):
        base = buckets.s3(bucket, asker.head(base).get("x-amz-bucket-region", ""))
    return _folder(asker, base, prefix, _keys)


def google(asker: Asker, source: str) -> Iterator[Entry]:
    """List a folder of Google Cloud Storage."""
    bucket, prefix = _named(source)
    return _folder(asker, buckets.google(bucket), prefix, _keys)


def azure(asker: Asker, source: str) -> Iterator[Entry]:
    """List a folder of Azure Blob Storage."""
    account, rest = _named(source)
    container, _, prefix = rest.partition("/")
    return _folder(asker, buckets.azure(account, container), prefix, _blobs)


def _folder(asker: Asker, base: str, prefix: str, pages: _Pages) -> Iterator[Entry]:
    """Give the files of a folder; what no folder is called is an object's name."""
    secrets = asker.access.secrets
    if secrets and isinstance(secrets.of(Origin.of(base)), CloudSignature):
        pages = _signed
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    is_folder = False
    for found in pages(asker, base, folder):
        is_folder = True
        if not found.key.endswith("/"):
            yield _entry(base, len(folder), found)
    if not is_folder and folder != prefix:
        # The object comes first: a store lists names in order.
        first = next(pages(asker, base, prefix), None)
        if first is not None and first.key == prefix:
            yield _entry(base, prefix.rfind("/") + 1, first)


def _entry(base: str, above: int, found: _Object) -> Entry:
    length = int(found.size) if found.size and found.size.isdecimal() else None
    url = base + quote(found.key)
    return Entry(found.key[above:], url, length, _hex(found.md5), _moment(found.modified))


def _keys(asker: Asker, base: str, prefix: str) -> Iterator[_Object]:
    """List as S3 does (ListObjectsV2)."""
    more: dict[str, str] = {}
    pages = Pages()
    while True:
        # Without it a name that XML cannot hold comes as another one.
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url", **more}
        text = asker.get(f"{base}?{urlencode(query)}").body.decode("utf-8", "replace")
        plain = unquote_plus if _text(text, "EncodingType") == "url" else str
        found = list(_parts(text, "Contents"))
        for one in found:
            if key := plain(_text(one, "Key") or ""):
                yield _Object(key, _text(one, "Size"), _text(one, "LastModified"))
        token = _text(text, "NextContinuationToken")
        if not token or token == more.get("continuation-token"):
            return
        pages.note(base, found)
        more = {"continuation-token": token}


def _blobs(asker: Asker, base: str, prefix: str) -> Iterator[_Object]:
    """List as Azure does, but for the directories of hierarchical namespaces."""
    marker, pages = "", Pages()
    query = {"restype": "container", "comp": "list", "include": "metadata", "prefix": prefix}
    while True:
        answer = asker.get(f"{base.rstrip('/')}?{urlencode(query | {'marker': marker})}")
        text = answer.body.decode("utf-8-sig", "replace")
        found = list(_parts(text, "Blob"))
        for one in found:
            name = _text(one, "Name")
            if name and not _is_directory(one):
                # A name that XML cannot hold comes percent-encoded.
                encoded = re.search(r"<Name\s[^>]*\bEncoded=[\"']true[\"']", one)
                yield _Object(
                    unquote(name) if encoded else name,
                    _text(one, "Content-Length"),
                    _text(one, "Last-Modified"),
                    _text(one, "Content-MD5"),
                )
        before, marker = marker, _text(text, "NextMarker") or ""
        if not marker or marker == before:
            return
        pages.note(base, found)


def _signed(asker: Asker, base: str, prefix: str) -> Iterator[_Object]:
    """List a private folder, as obstore does."""
    secrets = asker.access.secrets
    keys = secrets.of(Origin.of(base)) if secrets else None
    assert isinstance(keys, CloudSignature)
    for key, size, modified in keys.listed(base, prefix):
        yield _Object(key, str(size), modified)


def _is_directory(blob: str) -> bool:
    marks = _text(blob, "ResourceType") == "directory", _text(blob, "hdi_isfolder") == "true"
    return any(marks)


def _moment(text: str | None) -> str | None:
    """Write a store's time as STAC does: S3's is RFC 3339, Azure's an HTTP date."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return show(microseconds(read(text or "")))
        except (ValueError, OverflowError):
            continue
    return None


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
    found = re.search(rf"<{tag}(?:\s[^>]*)?>([^<]*)</{tag}>", part)
    return html.unescape(found.group(1)) if found else None


def _named(source: str) -> tuple[str, str]:
    name, _, rest = source.partition("://")[2].partition("/")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{shown(source)} names no bucket or account")
    return name, rest
