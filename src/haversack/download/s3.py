"""Sign requests to S3, and to what speaks like it: signature version 4.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

from haversack.download.origin import parsed
from haversack.download.secrets import Signed
from haversack.errors import APIKeyNotFound

_UNSIGNED = "UNSIGNED-PAYLOAD"
_REGION = re.compile(r"(?:^|\.)s3[.-]([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com$")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class S3Signature:
    """The keys of an account of S3.

    Parameters
    ----------
    key_id, secret
        The access key.
    token
        Of temporary keys.
    region
        By default the one in the host's name, else ``us-east-1``.
    requester_pays
        Agree to pay for what is fetched.

    Examples
    --------
    >>> S3Signature("key", "secret").sign("GET", "https://b.s3.amazonaws.com/a")[1].keys()
    dict_keys(['x-amz-content-sha256', 'x-amz-date', 'Authorization'])
    """

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    region: str | None = None
    requester_pays: bool = False
    clock: Callable[[], datetime] = field(default=_now, repr=False)

    @classmethod
    def from_env(cls, *, requester_pays: bool = False) -> S3Signature:
        """Take the keys from ``AWS_ACCESS_KEY_ID`` and the variables beside it.

        Raises
        ------
        APIKeyNotFound
            They are not set.
        """
        key_id = os.environ.get("AWS_ACCESS_KEY_ID")
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
        if not (key_id and secret):
            raise APIKeyNotFound("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to sign for S3")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        token = os.environ.get("AWS_SESSION_TOKEN")
        return cls(key_id, secret, token, region, requester_pays)

    def sign(self, method: str, url: str) -> Signed:
        host = parsed(url).hostname or ""
        found = _REGION.search(host)
        region = self.region or (found.group(1) if found else "us-east-1")
        now = self.clock().strftime("%Y%m%dT%H%M%SZ")
        headers = {"x-amz-content-sha256": _UNSIGNED, "x-amz-date": now}
        if self.token:
            headers["x-amz-security-token"] = self.token
        if self.requester_pays:
            headers["x-amz-request-payer"] = "requester"
        keys = self.key_id, self.secret
        return url, headers | {"Authorization": authorization(method, url, headers, keys, region)}

    def renew(self) -> bool:
        return False


def authorization(
    method: str, url: str, headers: Mapping[str, str], keys: tuple[str, str], region: str
) -> str:
    """Make the header that signs a request: all of ``headers``, which hold date and digest."""
    parts = parsed(url)
    sent = {name.lower(): value for name, value in headers.items()} | {"host": parts.netloc}
    names = ";".join(sorted(sent))
    canonical = "\n".join(
        [
            method,
            quote(unquote(parts.path), safe="/-_.~") or "/",
            _query(parts.query),
            *(f"{name}:{sent[name].strip()}" for name in sorted(sent)),
            "",
            names,
            sent["x-amz-content-sha256"],
        ]
    )
    now = sent["x-amz-date"]
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"
    key = f"AWS4{keys[1]}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return (
        f"AWS4-HMAC-SHA256 Credential={keys[0]}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)
