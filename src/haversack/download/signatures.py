"""Take signatures and tokens out of addresses that are written where others may read them."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_ALWAYS = r"token|access_token|api[_-]?key|x-api-key|x-amz-.*|x-goog-.*"
# Others use some of these names too, so they count only beside a signature.
_BESIDE = {
    "sig": "sv|ss|srt|sp|se|st|spr|sip|sig|sr|si|sk[a-z]{1,4}|s[acu]o?id|sdd|ses|rsc[cdelt]",
    "signature": "signature|expires|awsaccesskeyid|googleaccessid|key-pair-id|policy",
}


def unsigned(url: str) -> str:
    """Leave out of an address what signs it; everything else stays as it is written.

    Examples
    --------
    >>> unsigned("https://a.blob.core.windows.net/c/a.tif?sv=1&sp=r&sig=secret")
    'https://a.blob.core.windows.net/c/a.tif'
    >>> unsigned("https://a.example/a?band=2&X-Amz-Signature=secret#there")
    'https://a.example/a?band=2#there'
    >>> unsigned("https://a.example/a?sp=2&expires=never")
    'https://a.example/a?sp=2&expires=never'
    """
    base, question, rest = url.partition("?")
    if not question:
        return url
    query, mark, fragment = rest.partition("#")
    parts = [(unquote_plus(part.partition("=")[0]).lower(), part) for part in query.split("&")]
    names = {name for name, _ in parts}
    secret = "|".join([_ALWAYS, *(beside for name, beside in _BESIDE.items() if name in names)])
    kept = [part for name, part in parts if not re.fullmatch(secret, name)]
    if len(kept) == len(parts):
        return url
    query = "&".join(kept)
    return f"{base}{'?' * bool(query)}{query}{mark}{fragment}"
