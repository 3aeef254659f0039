"""Where the objects of S3, Google and Azure are asked for, and whether requests are signed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from haversack.download import buckets, cloud
from haversack.download.origin import Origin, canonical, parsed
from haversack.download.secrets import Credential, Secrets
from haversack.errors import UnsupportedError, UsageError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
# az://ACCOUNT/CONTAINER/KEY, and abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY as Hadoop has it
_HADOOP = re.compile(rf"(\$?{_NAME})@([a-z0-9]+)\.(?:dfs|blob)\.core\.windows\.net")


@dataclass(frozen=True, slots=True)
class Stores:
    """How ``s3://``, ``gs://``, ``az://`` and ``abfs://`` are reached: by default as public.

    Parameters
    ----------
    signed
        Sign with the keys that the stores' own tools use (``AWS_...``, ``GOOGLE_...``,
        ``AZURE_...`` variables, a machine's own identity), by obstore; ``https`` addresses of these
        stores too.
    s3_endpoint
        Where ``s3://`` is, if not at Amazon: MinIO, Source Cooperative.
    requester_pays
        Agree to pay for what is fetched from S3; with ``signed``.

    Raises
    ------
    MissingExtraError
        obstore is not installed.
    UsageError
        The endpoint is no address of a server.

    Examples
    --------
    >>> Stores().url("s3://bucket/a b.tif")
    'https://bucket.s3.amazonaws.com/a%20b.tif'
    >>> Stores(s3_endpoint="https://data.source.coop").url("s3://bucket/a.tif")
    'https://data.source.coop/bucket/a.tif'
    >>> Stores().url("abfs://container@account.dfs.core.windows.net/a.tif")
    'https://account.blob.core.windows.net/container/a.tif'
    """

    signed: bool = False
    s3_endpoint: str | None = None
    requester_pays: bool = False

    def __post_init__(self) -> None:
        if self.requester_pays and not self.signed:
            raise UsageError("who pays has to sign: give signed=True with requester_pays=True")
        if self.s3_endpoint is not None:
            endpoint = canonical(self.s3_endpoint)
            if parsed(endpoint).query:
                raise UsageError("an s3_endpoint is the address of a server, without a query")
            object.__setattr__(self, "s3_endpoint", endpoint.rstrip("/"))
        if self.signed:
            cloud.check_installed()

    def url(self, address: str) -> str | None:
        """Give the address that a store's object or folder is asked for at.

        None where it names no bucket or account; what is in no store stays as it is.
        """
        scheme, _, rest = address.partition("://")
        place, _, key = rest.partition("/")
        scheme = scheme.lower()
        if scheme == "s3":
            return self._s3(place, key)
        if scheme == "gs":
            return buckets.google(place) + quote(key) if _names(place) else None
        if scheme in {"az", "abfs", "abfss"}:
            return _azure(scheme, place, key)
        return address

    def _s3(self, bucket: str, key: str) -> str | None:
        if not _names(bucket):
            return None
        at_endpoint = f"{self.s3_endpoint}/{bucket}/"
        return (buckets.s3(bucket) if self.s3_endpoint is None else at_endpoint) + quote(key)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that the user named, which may be as private as they are."""
        if self.s3_endpoint is None:
            return ()
        origin = Origin.of(self.s3_endpoint)
        return (f"{origin.host}:{origin.port}",)

    def joined(self, secrets: Secrets | None) -> Secrets | None:
        """Add the stores' own keys to secrets; for an origin of both, those."""
        if not self.signed:
            return secrets
        return (secrets or Secrets()).joined(Secrets.found_by(self._credential))

    def _credential(self, origin: Origin) -> Credential | None:
        return cloud.credential(
            origin, s3_endpoint=self.s3_endpoint, requester_pays=self.requester_pays
        )


def stores_of(given: Stores | None) -> Stores:
    """Take the stores that a caller gives, if any.

    Raises
    ------
    UnsupportedError
        They are something else.
    """
    if not isinstance(given, Stores | None):
        raise UnsupportedError(
            f"stores is haversack.download.stores.Stores, not {type(given).__name__}: give "
            "Stores(signed=True), say"
        )
    return Stores() if given is None else given


def _names(bucket: str) -> bool:
    return re.fullmatch(_NAME, bucket) is not None


def _azure(scheme: str, place: str, path: str) -> str | None:
    """Read both forms: by account, and by container at an account."""
    if hadoop := _HADOOP.fullmatch(place):
        container, account = hadoop.groups()
        path = f"{container}/{path}"
    elif scheme == "az" and re.fullmatch(r"[a-z0-9]+", place):
        account = place
    else:
        return None
    return buckets.azure(account) + quote(path, safe="/$")
