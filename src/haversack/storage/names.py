"""Turn any text into one file name, so that an id never becomes a path."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_LONGEST = 200
_LONGEST_SUFFIX = 32
# Windows takes these for devices, whatever suffix follows, and spaces before it do not help:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]')


def component(text: str, suffix: str = "") -> str:
    """Encode text as one path component: itself where it is an ordinary name.

    Separators, control characters, what Windows forbids, ``%``, a trailing dot or space, and
    reserved names are percent-encoded; a name of more than 200 bytes is cut and ends in a hash.
    Different texts give different names, but names may still agree after case folding or Unicode
    normalisation: :func:`fold` finds those.

    Parameters
    ----------
    text
        Anything.
    suffix
        What the text goes on with: ``.tif``, say. It stays at the end where the name is cut, after
        the hash, unless it is longer than 32 bytes.

    Examples
    --------
    >>> component("LC08_044034_20200101")
    'LC08_044034_20200101'
    >>> component("../../etc/passwd")
    '..%2F..%2Fetc%2Fpasswd'
    >>> component("..")
    '%2E%2E'
    >>> component("con.txt")
    '%63on.txt'
    >>> component("red" * 100, ".tif")[176:]
    'dr%~430fd21a8bb2989a.tif'
    """
    name = _FORBIDDEN.sub(lambda match: _percent(match.group()), text + suffix)
    if name.strip(".") == "":
        name = name.replace(".", "%2E") or "%"
    if name[-1] in ". ":
        name = name[:-1] + _percent(name[-1])
    if _RESERVED.fullmatch(name):
        name = _percent(name[0]) + name[1:]
    encoded = name.encode("utf-8", "surrogatepass")
    if len(encoded) > _LONGEST or encoded != name.encode("utf-8", "replace"):
        return _cut(encoded, f".{name.rpartition('.')[2]}" if suffix else "")
    return name


def fold(name: str) -> str:
    """Map a name to what case-insensitive and normalising file systems take it for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _cut(encoded: bytes, suffix: str) -> str:
    end = suffix.encode("utf-8", "surrogatepass")
    if len(end) > _LONGEST_SUFFIX or end != suffix.encode("utf-8", "replace"):
        suffix, end = "", b""
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    room = _LONGEST - len(digest) - 2 - len(end)
    head = encoded.removesuffix(end)[:room].decode("utf-8", "ignore").rstrip(". %")
    return f"{head}%~{digest}{suffix}"
