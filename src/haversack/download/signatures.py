"""Take signatures and tokens out of addresses that are written where others may read them."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_ALWAYS = (
    r".*token|.*secret|.*passw(or)?d|.*pwd|passphrase|jwt|auth|authorization|x-amz-.*|x-goog-.*"
    r"|key|(.*[_-])?(api|access|secret|private|account|auth|shared|subscription)[_-]?key"
)
# What stands before "@"; of abfs that is the container, without which there is no address.
_USER = re.compile(
    r"(\s*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2,}|\s*https?:[/\\]?)([^/?#]*)@", re.IGNORECASE
)
_PARAMETER = re.compile(r";([^/;=]+)=[^/;]*")
_WITH_CONTAINER = re.compile(r"\s*(abfs|wasb)s?:", re.IGNORECASE)
# Others use some of these names too, so they count only beside a signature.
_BESIDE = {
    "sig": "sv|ss|srt|sp|se|st|spr|sip|sig|sr|si|sk[a-z]{1,4}|s[acu]o?id|sdd|ses|rsc[cdelt]",
    "signature": "signature|expires|awsaccesskeyid|googleaccessid|key-pair-id|policy",
}


def unsigned(url: str) -> str:
    """Leave out of an address what signs it, and a user; the rest stays as it is written.

    Examples
    --------
    >>> unsigned("https://a.blob.core.windows.net/c/a.tif?sv=1&sp=r&sig=secret")
    'https://a.blob.core.windows.net/c/a.tif'
    >>> unsigned("https://a.example/a?band=2&X-Amz-Signature=secret#there")
    'https://a.example/a?band=2#there'
    >>> unsigned("https://a.example/a?sp=2&expires=never")
    'https://a.example/a?sp=2&expires=never'
    >>> unsigned("https://me:secret@a.example/a"), unsigned("a.tif#token=secret")
    ('https://a.example/a', 'a.tif')
    """
    base, mark, fragment = url.partition("#")
    path, question, query = base.partition("?")
    path = _PARAMETER.sub(lambda one: "" if _is_secret(one[1], _ALWAYS) else one[0], path)
    return _without_user(path) + _part(question, query) + _part(mark, fragment)


def _without_user(path: str) -> str:
    found = _USER.match(path)
    if found is None or (":" not in found[2] and _WITH_CONTAINER.match(path)):
        return path
    return found[1] + path[found.end() :]


def _part(mark: str, text: str) -> str:
    """Leave what is secret out of a query or a fragment; its mark too, where that is all of it."""
    fields = re.findall(r"[&;?]?[^&;?]+|[&;?]", text)
    names = [unquote_plus(field.lstrip("&;?").partition("=")[0]).lower() for field in fields]
    secret = "|".join([_ALWAYS, *(beside for name, beside in _BESIDE.items() if name in names)])
    kept = [
        field
        for name, field in zip(names, fields, strict=True)
        if "=" not in field or not _is_secret(name, secret)
    ]
    if len(kept) == len(fields):
        return mark + text
    rest = "".join(kept)
    rest = rest if kept[:1] == fields[:1] else rest[1:]
    return f"{mark}{rest}" if rest else ""


def _is_secret(name: str, names: str) -> bool:
    return re.fullmatch(names, unquote_plus(name).lower()) is not None
