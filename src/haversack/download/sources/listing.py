"""List the files of a folder on the web: of a web server's index, of S3, of Azure, of Google.

A catalog is made of them: an item for each file, in the collection of its first folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from haversack.download import buckets
from haversack.download.origin import parsed
from haversack.download.sources import stores
from haversack.download.sources.document import Asker, Documents
from haversack.download.sources.entries import Entry, items_of
from haversack.download.sources.index import index


def is_listing(source: str) -> bool:
    """Tell a folder from anything else, by its address alone."""
    scheme = source.partition("://")[0].lower()
    return scheme in _STORES or (scheme in {"http", "https"} and parsed(source).path[-1:] == "/")


def listed(asker: Asker, source: str, passed_over: Callable[[str], None]) -> Documents:
    """Give an item for each file below a folder; tell of the folders that are passed over."""
    store = _STORES.get(source.partition("://")[0].lower())
    return items_of(store(asker, source) if store else index(asker, source, passed_over))


def place_of(source: str) -> str:
    """Give the address that a store's folder is asked for at."""
    scheme, _, rest = source.partition("://")
    places: dict[str, Callable[[str], str]] = {
        "s3": buckets.s3,
        "gs": buckets.google,
        "az": buckets.azure,
    }
    place = places.get(scheme.lower())
    return source if place is None else place(rest.partition("/")[0])


_STORES: dict[str, Callable[[Asker, str], Iterator[Entry]]] = {
    "s3": stores.s3,
    "gs": stores.google,
    "az": stores.azure,
}
