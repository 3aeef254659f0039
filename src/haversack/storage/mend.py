"""Find the one byte that was changed, from a checksum that tells what the bytes had been."""

from __future__ import annotations

from functools import cache
from typing import Final

from haversack.storage.checksum import crc32c

LONGEST: Final = 64 << 10
_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli, reflected


@cache
def _tables() -> tuple[list[int], dict[int, int], list[int]]:
    """List what each byte does to the checksum, the byte that does it, and the way back."""
    does = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        does.append(value)
    back = [0] * 256
    for byte, value in enumerate(does):
        back[value >> 24] = byte
    return does, {value: byte for byte, value in enumerate(does) if byte}, back


def mended(data: bytes, checksum: int, *, longest: int = LONGEST) -> bytes | None:
    """Undo the change of a single byte, if that is all that is wrong with some bytes.

    What is damaged worse is taken for that in six of a hundred million cases for each byte of
    its length: use it for what is short, and look at what comes back.

    Parameters
    ----------
    checksum
        The crc32c that the bytes had.
    longest
        Do not try where there are more bytes.

    Returns
    -------
    bytes or None
        The bytes as they were; None where no change of one byte explains the checksum, or more
        than one does.

    Examples
    --------
    >>> mended(b"a flipped bat", crc32c(b"a flipped bit"))
    b'a flipped bit'
    >>> mended(b"more than that", crc32c(b"less than this")) is None
    True
    """
    difference = crc32c(data) ^ checksum
    if difference == 0:
        return data
    if len(data) > longest:
        return None
    does, byte_of, back = _tables()
    found: list[tuple[int, int]] = []
    for place in range(len(data) - 1, -1, -1):
        if difference in byte_of:
            found.append((place, byte_of[difference]))
        # What the difference was before this byte was read.
        byte = back[difference >> 24]
        difference = (difference ^ does[byte]) << 8 & 0xFFFFFFFF | byte
    if len(found) != 1:
        return None
    place, change = found[0]
    return data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
