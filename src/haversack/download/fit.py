"""Whether an answer can be the file that was asked for, told before its bytes come."""

from __future__ import annotations

from collections.abc import Mapping

from haversack.download.origin import parsed, shown
from haversack.download.outcome import Request

_PAGES = (".html", ".htm", ".xhtml", ".php", ".asp", ".aspx")
_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_PACKED = (".gz", ".tgz")


def unfit(request: Request, url: str, headers: Mapping[str, str], total: int | None) -> str | None:
    """Say why an answer from ``url``, of ``total`` bytes, cannot be the file; None where it can.

    Examples
    --------
    >>> from pathlib import Path
    >>> wanted = Request("https://a.example/a.tif", Path("a.tif"))
    >>> unfit(wanted, wanted.url, {"content-type": "text/html"}, 512)
    "https://a.example/a.tif: answered with a web page instead of the file (where a page is ..."
    """
    wanted, encoding = request.size, headers.get("content-encoding", "identity")
    if encoding != "identity" and _suffix(url) not in _PACKED:
        return f"{shown(url)}: sent as {encoding}, although that was not asked"
    if wanted is not None and total is not None and total != wanted:
        return f"{shown(url)}: has {total} bytes, the catalog says {wanted}"
    known = wanted is not None or request.checksum is not None
    if known or not _is_page(headers.get("content-type", "")):
        return None
    if _is_page(request.media_type or "") or _suffix(url) in _PAGES:
        return None
    return (
        f"{shown(url)}: answered with a web page instead of the file (where a page is meant, "
        "the asset's type in the catalog has to say text/html)"
    )


def _is_page(media_type: str) -> bool:
    return media_type.lower().startswith(_PAGE_TYPES)


def _suffix(url: str) -> str:
    name = parsed(url).path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""
