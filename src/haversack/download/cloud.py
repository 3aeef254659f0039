"""Sign requests to S3, Google and Azure with the keys of their own tools, by obstore.

One engine fetches all bytes, with parts, checksums and limits: obstore, the extra ``cloud``, only
signs each address as it is sent, and lists, for no signed address can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote

from haversack.download.http import request
from haversack.download.origin import Origin, shown
from haversack.download.secrets import Credential, Signed
from haversack.errors import (
    AccessRefusedError,
    DownloadError,
    MissingExtraError,
    NetworkError,
    SourceNotFoundError,
)

_VALID = timedelta(hours=1)
_S3 = re.compile(
    r"(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?"
)
_GOOGLE = "storage.googleapis.com"
_AZURE = ".blob.core.windows.net"
# Nobody waits for minutes where there are no keys.
_PATIENCE: dict[str, Any] = {
    "retry_config": {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
}
_HINTS = {
    "S3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "Google": "GOOGLE_APPLICATION_CREDENTIALS",
    "Azure": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}

Opener = Callable[[str], Any]
Listed = tuple[str, int, str]  # key, size and the time of the last change


def check_installed() -> None:
    """Refuse to go on without obstore.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    if find_spec("obstore") is None:
        raise MissingExtraError("keys of cloud stores need obstore: pip install 'haversack[cloud]'")


def credential(
    origin: Origin, *, s3_endpoint: str | None = None, requester_pays: bool = False
) -> Credential | None:
    """Give what signs for an origin, if it is a store's."""
    if s3_endpoint is not None and origin == Origin.of(s3_endpoint):
        opener = _S3Opener(s3_endpoint, None, _region_set(), requester_pays=requester_pays)
        return CloudSignature("S3", s3_endpoint, None, opener)
    if origin.scheme != "https":
        return None
    base = str(origin)
    if at_amazon := _S3.fullmatch(origin.host):
        bucket, region = at_amazon.groups()
        opener = _S3Opener(base, bucket, region, requester_pays=requester_pays)
        return CloudSignature("S3", base, bucket, opener)
    if origin.host == _GOOGLE:
        return CloudSignature("Google", base, None, _google)
    account = origin.host.removesuffix(_AZURE)
    # Another account's public files would be refused with the key of this one.
    if account != origin.host and os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", account) == account:
        return CloudSignature("Azure", base, None, _AzureOpener(base, account))
    return None


class CloudSignature:
    """Signs the addresses of one origin of a store.

    Parameters
    ----------
    kind
        ``"S3"``, ``"Google"`` or ``"Azure"``.
    base
        What bucket and key follow in an address.
    bucket
        The one that the host's name holds; None where the path begins with it.
    opener
        Gives the obstore store of a bucket.
    """

    def __init__(self, kind: str, base: str, bucket: str | None, opener: Opener) -> None:
        self._kind, self._base, self._bucket, self._open = kind, base, bucket, opener
        self._stores: dict[str, Any] = {}
        self._refused: dict[str, str] = {}

    def sign(self, method: str, url: str) -> Signed:
        """Give the signed address; one with a query is another's work, and stays as it is."""
        bucket, key = self._named(url)
        if not key or "?" in url:
            return url, {}
        if bucket in self._refused:  # to find that out again would take as long for each file
            raise AccessRefusedError(self._refused[bucket])
        signed = self._signed(method, bucket, key)
        asked = signed.partition("?")[0]
        # Of Azure's names obstore hashes the encoded form, where Azure takes the plain one.
        is_other = self._kind == "Azure" and unquote(asked) != asked
        if is_other or unquote(asked) != unquote(url):
            raise DownloadError(f"{shown(url)}: obstore cannot sign for a file of this name")
        return signed, {}

    def _signed(self, method: str, bucket: str, key: str) -> str:
        import obstore
        from obstore.exceptions import BaseError

        try:
            signed: str = obstore.sign(self._store(bucket), _method(method), key, _VALID)
        except TypeError:
            return ""  # it takes no such name
        except BaseError as error:
            hint = f"are {_HINTS[self._kind]} set, and right?"
            self._refused[bucket] = self._refusal("signed for", bucket, error, hint)
            raise AccessRefusedError(self._refused[bucket]) from None
        return signed

    def listed(self, url: str, prefix: str) -> Iterator[Listed]:
        """Yield each object below a folder of the bucket that ``url`` is of, or the one so called.

        Raises
        ------
        AccessRefusedError
            There are no keys, or not the right ones.
        SourceNotFoundError
            There is no such bucket.
        NetworkError
            The store is not reached, fails, or has names that obstore does not take.
        """
        from obstore.exceptions import BaseError

        bucket, _ = self._named(url)
        self._signed("GET", bucket, "any")  # to tell missing keys from a store that fails
        try:
            yield from _files(map(_listed, _objects(self._store(bucket), prefix)))
        except (BaseError, FileNotFoundError) as error:
            kind, hint = _failure(str(error))
            raise kind(self._refusal("listed", bucket, error, hint)) from None

    def renew(self) -> bool:
        self._stores.clear()
        self._refused.clear()
        return True

    def _named(self, url: str) -> tuple[str, str]:
        path = unquote(url.partition("?")[0][len(self._base) + 1 :])
        if self._bucket is not None:
            return self._bucket, path
        bucket, _, key = path.partition("/")
        return bucket, key

    def _store(self, bucket: str) -> Any:
        if bucket not in self._stores:
            self._stores[bucket] = self._open(bucket)
        return self._stores[bucket]

    def _refusal(self, what: str, bucket: str, error: Exception, hint: str) -> str:
        # What obstore says may hold what it was given.
        told = type(error).__name__
        return f"{bucket!r} at {self._base} cannot be {what} ({told}): {hint}"

    def __repr__(self) -> str:
        return f"CloudSignature({self._kind!r}, {self._base!r})"


def _failure(said: str) -> tuple[type[DownloadError], str]:
    """Judge what a listing failed by; obstore has the status in its text alone."""
    found = re.search(r"status code: (\d{3})", said)
    status = found.group(1) if found else ""
    if status in {"401", "403"}:
        return AccessRefusedError, "may these keys list it?"
    if status == "404":
        return SourceNotFoundError, "there is no such bucket"
    return NetworkError, "it is not reached, fails, or has names that obstore does not take"


def _method(method: str) -> Any:
    return "HEAD" if method == "HEAD" else "GET"


def _objects(store: Any, prefix: str) -> Iterator[Any]:
    import obstore

    if prefix and not prefix.endswith("/"):
        with suppress(FileNotFoundError):
            yield obstore.head(store, prefix)
        return
    for chunk in obstore.list(store, prefix or None, chunk_size=1000):
        yield from chunk


def _listed(one: Any) -> Listed:
    return one["path"], one["size"], one["last_modified"].isoformat()


def _files(listed: Iterable[Listed]) -> Iterator[Listed]:
    """Leave out the empty objects that stand for folders, which obstore names like files."""
    held: Listed | None = None
    for one in listed:
        if held is not None and not one[0].startswith(f"{held[0]}/"):
            yield held
        held = None if one[1] else one
        if held is None:
            yield one
    if held is not None:
        yield held


class _S3Opener:
    """Opens buckets of S3 at a base; the environment's own endpoint is not asked."""

    def __init__(
        self, base: str, bucket: str | None, region: str | None, *, requester_pays: bool
    ) -> None:
        self._base, self._in_host, self._region = base, bucket is not None, region
        self._requester_pays = requester_pays

    def __call__(self, bucket: str) -> Any:
        from obstore.store import S3Store

        return S3Store(
            bucket,
            aws_endpoint_url_s3=self._base,
            virtual_hosted_style_request=self._in_host,
            region=self._region or _region_of(bucket),
            request_payer=self._requester_pays,
            client_options={"allow_http": self._base.startswith("http://")},
            **_PATIENCE,
        )


def _region_set() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _region_of(bucket: str) -> str:
    """Ask Amazon, which tells everybody."""
    try:
        answer = request("HEAD", f"https://s3.amazonaws.com/{bucket}", retries=1)
    except DownloadError:
        return _region_set()
    return answer.headers.get("x-amz-bucket-region") or _region_set()


def _google(bucket: str) -> Any:
    from obstore.store import GCSStore

    return GCSStore(bucket, **_PATIENCE)


class _AzureOpener:
    """Opens containers of an account."""

    def __init__(self, base: str, account: str) -> None:
        self._base, self._account = base, account

    def __call__(self, container: str) -> Any:
        from obstore.store import AzureStore

        return AzureStore(container, account_name=self._account, endpoint=self._base, **_PATIENCE)
