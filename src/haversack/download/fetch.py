"""One file on its way: its tries, its redirects, and what each answer means for its bytes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from enum import Enum

from haversack.download.body import Body
from haversack.download.digest import Expected, of_catalog
from haversack.download.failure import Failure, Kind, of_status
from haversack.download.fit import unfit
from haversack.download.line import MOST_REDIRECTS, REDIRECTS, Line, Refused, next_hop
from haversack.download.origin import located, shown
from haversack.download.outcome import Request
from haversack.download.parts import NO_VALIDATOR, Parts, validator
from haversack.download.whole import Whole
from haversack.download.writer import Writer
from haversack.errors import UsageError

_ERROR_BODY = 64 << 10
_PROGRESS = 64 << 10  # bytes beyond what was here before, or a hundredth of the file
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")
_SIGNATURE = frozenset({400, 401, 403})
_FILE = frozenset({200, 206})
_ABORT = 0


class Unchanged(Enum):
    """What comes of a request for what is here already."""

    UNCHANGED = "unchanged"


class Fetch:
    """A request from its first try to its last.

    Parameters
    ----------
    request
        What to fetch.
    parts, writer
        Where its bytes go until they are whole, and who brings them there.
    """

    # Of what follows most files change little, and the class need not make it for each.
    tries, fruitless = 0, 1
    moved = 0
    failure: Failure | None = None  # the last one
    _redirects = 0
    _checked_twice = _renewed = False
    _line: Line | None = None
    _problem: Failure | Exception | None = None
    _began = _takes = _unchanged = False
    _status = 0
    _dropped = 0

    def __init__(self, request: Request, parts: Parts, writer: Writer) -> None:
        self.request = request
        self.url, self.origin = located(request.url)
        self._body = Body(request, os.fspath(request.path), parts, writer)
        self._furthest = self._body.size
        self._most = sys.maxsize if request.size is None else request.size
        self._headers: dict[str, str] = {}

    @property
    def resumed(self) -> int:
        """Bytes that an earlier run brought."""
        return self._body.resumed

    def ask(self) -> dict[str, str]:
        """Give the headers of the next try: for the rest, where a part of it is here."""
        asked = {"Accept-Encoding": "identity"}
        here = self._body.size
        if here:
            asked["Range"] = f"bytes={here}-"
            etag = self._body.headers.get("etag", "")
            if etag.startswith('"'):
                asked["If-Range"] = etag
        elif self.request.unless is not None:
            asked |= self.request.unless.conditions()
        return asked

    def start(self, line: Line) -> Callable[[bytes], int | None]:
        """Begin a try on a line; give what takes the bytes."""
        self.tries += not self._redirects
        self._line, self._problem = line, None
        self._began = self._takes = self._unchanged = False
        self._status = self._dropped = 0
        return self._receive

    def _receive(self, chunk: bytes) -> int | None:
        try:
            if not self._began:
                self._begin()
            self.moved += len(chunk)
            if self._takes:
                if self._body.size + len(chunk) > self._most:
                    self._problem = self._of_other_size(f"more than {self._most}")
                    return _ABORT
                self._body.take(chunk)
                return None
            return self._drop(chunk)
        except Exception as error:  # noqa: BLE001 (nothing may pass through curl: raised in end)
            self._problem = error
            return _ABORT

    def _drop(self, chunk: bytes) -> int | None:
        """Let the body of an error go by, so that its connection can be kept."""
        self._dropped += len(chunk)
        useless = self._problem is not None or self._unchanged
        return _ABORT if useless or self._dropped > _ERROR_BODY else None

    # The answer's head

    def _begin(self) -> None:
        assert self._line is not None
        self._began = True
        self._status, self._headers = status, headers = self._line.answer()
        unless = self.request.unless
        if status == 304 or (status == 200 and unless is not None and unless.is_of(headers)):
            self._unchanged = True
        elif status in _FILE:
            self._problem = self._from_zero(headers) if status == 200 else self._continue(headers)
            self._takes = self._problem is None

    def _continue(self, headers: dict[str, str]) -> Failure | None:
        """Take up a part, if these bytes are of the same version and begin where it ends."""
        if not self._body.size:
            message = f"{shown(self.url)}: answered with a range, although none was asked for"
            return Failure(Kind.BODY, message, 0.0)
        found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        total = int(found.group(3)) if found and found.group(3) != "*" else None
        version = validator(headers, total)
        if (
            found is not None
            and int(found.group(1)) == self._body.size
            and version == self._body.version != NO_VALIDATOR
        ):
            self._body.headers, self._body.total = headers, total
            is_other = total is not None and self.request.size not in {None, total}
            return self._of_other_size(total) if is_other else None
        self._body.discard()
        return Failure(Kind.BODY, f"{shown(self.url)}: it changed while it was fetched", 0.0)

    def _from_zero(self, headers: dict[str, str]) -> Failure | None:
        """Take up a file from its first byte, if it can be the one that was asked for."""
        length = headers.get("content-length", "")
        total = int(length) if length.isdecimal() else None
        self._body.restart(headers, total)
        reason = unfit(self.request, self.url, headers, total)
        return Failure(Kind.FINAL, reason, status=self._status) if reason else None

    # The end of a try

    def end(self, code: int, detail: str) -> Whole | Failure | str | Unchanged:
        """Judge a try that ended: a whole file, a failure, or the URL of a redirect.

        Raises
        ------
        OSError
            The disk refused the bytes.
        """
        assert self._line is not None
        if not self._began:
            self._without_body(code, self._line)
        line, self._line = self._line, None
        if isinstance(self._problem, Exception):
            raise self._problem
        if self._problem is not None:
            return self._problem
        headers, self._headers = self._headers, {}  # thousands wait for their names
        if self._unchanged and self.request.unless is not None:
            return Unchanged.UNCHANGED
        if code == 0 and self._status in _FILE:
            return self._check() or self._body.whole(self)
        return self._no_file(headers, line, code, detail)

    def _no_file(
        self, headers: dict[str, str], line: Line, code: int, detail: str
    ) -> Whole | Failure | str:
        """Judge an answer that is something else than a whole file, or part of one."""
        status = self._status
        if status in REDIRECTS and "location" in headers:
            return self._redirect(headers["location"])
        if status == 416 and self._body.size:
            return self._beyond_the_end(headers)
        if status and (failed := of_status(status, headers, self.url)):
            return self._signed_anew(failed, line) if status in _SIGNATURE else failed
        if code:
            return line.failure(code, detail)
        message = f"{shown(self.url)}: HTTP {status} is no file"
        return Failure(Kind.FINAL, message, status=status)

    def _without_body(self, code: int, line: Line) -> None:
        """Look at an answer without a body; an error is one also where its body broke off."""
        if code == 0:
            self._begin()
        else:
            self._status, self._headers = line.answer()

    def _beyond_the_end(self, headers: dict[str, str]) -> Whole | Failure:
        """Take a part for the whole where nothing comes after it, if something can vouch for it."""
        found = _UNSATISFIED.fullmatch(headers.get("content-range", ""))
        size = self._body.size
        if found is not None and int(found.group(1)) == size:
            same = validator(headers, size) == self._body.version != NO_VALIDATOR
            if same or of_catalog(self.request.checksum):
                self._body.headers, self._body.total = headers, size
                return self._check() or self._body.whole(self)
        self._body.discard()
        return Failure(Kind.BODY, f"{shown(self.url)}: the part here does not fit it", 0.0)

    def _signed_anew(self, refused: Failure, line: Line) -> Failure:
        """Try once more where a signature may have expired: a redirect's, or a credential's."""
        if self._renewed or not (self._redirects or line.renew()):
            return refused
        self._renewed = True
        return Failure(Kind.BODY, refused.message, 0.0)

    def _redirect(self, location: str) -> Failure | str:
        self._redirects += 1
        if self._redirects > MOST_REDIRECTS:
            message = f"{shown(self.request.url)}: more than {MOST_REDIRECTS} redirects"
            return Failure(Kind.FINAL, message)
        try:
            target, _ = next_hop(self.url, location, {})
        except (Refused, UsageError) as refused:
            return Failure(Kind.FINAL, str(refused))
        self.url, self.origin = located(target)
        return self.url

    def again(self) -> None:
        """Go back to the first URL: a signature that it redirects to may have expired."""
        self._redirects = 0
        self._body.pause()
        self.fruitless = 1 if self._got_further() else self.fruitless + 1
        self.url, self.origin = located(self.request.url)

    def _got_further(self) -> bool:
        """Tell whether there is more than there ever was, by so much that it comes to an end."""
        enough = min(_PROGRESS, max(1, (self._body.total or _PROGRESS * 100) // 100))
        if self._body.size - self._furthest < enough:
            return False
        self._furthest = self._body.size
        return True

    def _check(self) -> Failure | None:
        size, total, wanted = self._body.size, self._body.total, self.request.size
        if total is not None and size != total:
            # Some servers give no more than so much at once: the rest is asked for without a pause.
            return Failure(Kind.BODY, f"{shown(self.url)}: {size} bytes of {total} came", 0.0)
        return None if wanted in {None, size} else self._of_other_size(size)

    def _of_other_size(self, size: object) -> Failure:
        """Throw bytes away whose number is not the one that the catalog says."""
        self._body.discard()
        message = f"{shown(self.url)}: has {size} bytes, the catalog says {self.request.size}"
        return Failure(Kind.FINAL, message, status=self._status)

    def refuted(self, wrong: Expected) -> Failure:
        """Throw bytes away that are not those meant; they are asked for once more."""
        self._body.discard()
        message = f"{shown(self.url)}: its {wrong.algorithm} is not that of {wrong.source}"
        kind = Kind.FINAL if self._checked_twice else Kind.BODY
        self._checked_twice = True
        return Failure(kind, message, status=self._status)

    def suspend(self) -> None:
        """Stop, and leave what another run can go on with, as far as the disk takes it."""
        self._body.leave(keep=self._problem is None)
