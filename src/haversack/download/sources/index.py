"""List the files below a folder of a web server, by the pages that it makes of folders.

The times in such pages are in a zone that they do not tell, so they are not read.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from urllib.parse import unquote

from haversack.download.origin import shown
from haversack.download.sources.document import Asker, target_of
from haversack.download.sources.endless import check_depth
from haversack.download.sources.entries import Entry
from haversack.errors import (
    AccessRefusedError,
    DownloadError,
    SourceNotFoundError,
    UnexpectedAnswerError,
)

_MOST = 10_000_000
_TOLD = 1000

log = logging.getLogger("haversack.download")


def index(asker: Asker, source: str, passed_over: Callable[[str], None]) -> Iterator[Entry]:
    """List the files below a folder, and tell of each folder below it that is closed or gone.

    Raises
    ------
    DownloadError
        The folder itself cannot be read, all that is below it is closed, or folders have no end.
    """
    root = source.partition("?")[0].partition("#")[0]
    waiting, seen = deque([root]), {root}
    closed: DownloadError | None = None
    files = folders = 0
    while waiting:
        folder = waiting.popleft()
        check_depth(folder.count("/") - root.count("/"), folder)
        folders += 1
        if folders % _TOLD == 0:
            log.info("%s: %d folders read, %d files found", shown(source), folders, files)
        try:
            below = _below(asker, folder)
        except (AccessRefusedError, SourceNotFoundError) as error:
            if folder == root:
                raise
            closed = error
            log.warning("%s: what is below it is left out", error)
            passed_over(folder)
            continue
        for url in below:
            if url in seen:
                continue
            seen.add(url)
            if url.endswith("/"):
                waiting.append(url)
            else:
                files += 1
                yield Entry(unquote(url[len(root) :]), url)
        if len(seen) > _MOST:
            raise UnexpectedAnswerError(f"{shown(source)} lists files without an end")
    if closed is not None and not files:
        raise closed


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _below(asker: Asker, folder: str) -> list[str]:
    """Give what a page links to below itself: no parents, no other orders of the same."""
    answer = asker.get(folder)
    if not answer.headers.get("content-type", "text/html").startswith("text/html"):
        raise UnexpectedAnswerError(f"{shown(folder)} is no list of files: it is no web page")
    anchors = _Anchors()
    anchors.feed(answer.body.decode("utf-8", "replace"))
    targets = (target_of(folder, href) or "" for href in anchors.hrefs)
    found = (target.partition("#")[0] for target in targets)
    inside = [url for url in found if url.startswith(folder) and url != folder and "?" not in url]
    return [url for url in inside if ".." not in unquote(url).split("/")]
