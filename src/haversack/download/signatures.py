"""Take signatures and tokens out of addresses that are written where others may read them."""

from __future__ import annotations

from urllib.parse import unquote_plus

# Of Azure; some are names that others use too, so only where there is a ``sig``.
_SAS = frozenset(
    [
        "sv",
        "ss",
        "srt",
        "sp",
        "se",
        "st",
        "spr",
        "sip",
        "sig",
        "sr",
        "si",
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
        "saoid",
        "suoid",
        "scid",
        "sdd",
        "ses",
        "rscc",
        "rscd",
        "rsce",
        "rscl",
        "rsct",
    ]
)
# Of the older signatures of S3, Google and CloudFront, where there is a ``signature``.
_SIGNED = frozenset(
    {"signature", "expires", "awsaccesskeyid", "googleaccessid", "key-pair-id", "policy"}
)
_TOKENS = frozenset({"token", "access_token", "api_key", "apikey", "api-key", "x-api-key"})
_PREFIXES = ("x-amz-", "x-goog-")


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
    pairs = [(unquote_plus(part.partition("=")[0]).lower(), part) for part in query.split("&")]
    names = {name for name, _ in pairs}
    secret = _TOKENS | (_SAS if "sig" in names else set())
    secret |= _SIGNED if "signature" in names else set()
    kept = [part for name, part in pairs if name not in secret and not name.startswith(_PREFIXES)]
    if len(kept) == len(pairs):
        return url
    query = "&".join(kept)
    return f"{base}{'?' * bool(query)}{query}{mark}{fragment}"
