"""A file that has all its bytes: check and write them, then give it its name."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haversack.download.digest import Digest, Expected
from haversack.download.ending import Ending
from haversack.download.outcome import Request
from haversack.download.parts import Part


@dataclass(slots=True)
class Whole:
    """A file that has all its bytes, waiting for its name.

    ``content`` is what still has to be hashed and written to the part. ``error`` or ``wrong`` is
    why it gets no name: the disk refused it, or its bytes are not those that were meant; ``lost``
    that its part is gone, so that it has to come again.
    """

    request: Request
    path: str
    part: Part
    content: bytes
    digest: Digest | None  # until it is settled
    etag: str | None
    last_modified: str | None
    leftovers: Sequence[str]
    source: Any  # what the mover wants back with the answer
    is_begun: bool = False  # some of it has been given to the writer
    checksum: str = ""  # once it is settled
    error: OSError | None = None
    wrong: Expected | None = None
    lost: bool = False

    @property
    def named(self) -> bool:
        return self.error is None and self.wrong is None

    @property
    def folder(self) -> Path:
        return Path(self.path).parent

    @property
    def size(self) -> int:
        return self.part.size


def settle_in_time(whole: Whole, ending: Ending) -> None:
    """Settle a file, unless the run is over."""
    (abandon if ending.is_over() else settle)(whole)


def settle(whole: Whole) -> None:
    """Check and write what is not in the part yet."""
    content, digest = whole.content, whole.digest
    assert digest is not None
    whole.content, whole.digest = b"", None  # thousands wait for their names
    if whole.part.error is None:  # else bytes are missing in it, whatever they hash to
        digest.update(content)
        whole.wrong = digest.mismatch()
    try:
        if whole.wrong is None:
            whole.part.finish(content)
            whole.checksum = digest.checksum
            return
    except OSError as error:
        whole.error = error
    whole.part.remove()


def abandon(whole: Whole) -> None:
    """Give a file no name, for there is no time: leave what another run can go on with."""
    whole.content = b""
    whole.error = OSError(errno.ECANCELED, "the run was ended")
    whole.part.keep_or_remove(sync=False)


def rename(whole: Whole) -> None:
    """Give the file its name."""
    try:
        # First, for nobody looks at them once the file is there.
        for name in whole.leftovers:
            (whole.folder / name).unlink(missing_ok=True)
        os.replace(whole.part.path, whole.path)  # noqa: PTH105 (done for every file)
    except OSError as error:
        whole.error = error
        # Where it is gone, another run took it over, by mistake.
        whole.lost = isinstance(error, FileNotFoundError)
        whole.part.remove()
