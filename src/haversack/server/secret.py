"""Unguessable path segments, from a secret that is kept beside the datasets."""

from __future__ import annotations

import hmac
import logging
import secrets
from hashlib import sha256
from pathlib import Path

from haversack.errors import ExistsError, FormatError, StorageError
from haversack.storage import publish

log = logging.getLogger("haversack.server")

_BYTES = 32


def secret_of(root: Path) -> bytes:
    """Read the secret of a hub directory, or make it.

    It is ``.haversack/secret``, readable by its owner alone. Removing it changes every address of
    an asset or archive. On a read-only disk the secret lives as long as the process.

    Raises
    ------
    FormatError
        The file is not 64 hexadecimal digits.
    """
    place = root / ".haversack" / "secret"
    try:
        return _read(place)
    except FileNotFoundError:
        pass
    try:
        publish.make_directory(place.parent)
        publish.create(place, secrets.token_hex(_BYTES).encode() + b"\n", mode=0o600)
    except ExistsError:
        log.debug("another server made %s first", place)
    except StorageError as error:
        log.warning("%s; addresses of assets will change when the server restarts", error)
        return secrets.token_bytes(_BYTES)
    return _read(place)


def segment(secret: bytes, purpose: str, *names: str) -> str:
    """Derive the path segment for a purpose and names.

    Examples
    --------
    >>> len(segment(b"secret", "assets", "my_dataset"))
    32
    >>> segment(b"secret", "assets", "a", "b") == segment(b"secret", "assets", "ab")
    False
    """
    message = "\0".join((purpose, *names)).encode("utf-8", "surrogatepass")
    return hmac.new(secret, message, sha256).hexdigest()[:32]


def _read(place: Path) -> bytes:
    try:
        secret = bytes.fromhex(place.read_text("ascii"))
    except ValueError as error:
        raise FormatError(f"{place} is not {2 * _BYTES} hexadecimal digits: remove it") from error
    if len(secret) != _BYTES:
        raise FormatError(f"{place} is not {2 * _BYTES} hexadecimal digits: remove it")
    return secret
