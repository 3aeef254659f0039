"""Answer with a file or a range of it."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from mimetypes import MimeTypes
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,20})\s*-\s*(\d{0,20})\s*", re.ASCII | re.IGNORECASE)

# Not the machine's table, so that every server says the same.
_TYPES = MimeTypes(filenames=())
for _suffix, _kind in {
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".h5": "application/x-hdf5",
    ".jp2": "image/jp2",
    ".md": "text/markdown",
    ".nc": "application/netcdf",
    ".ndjson": "application/x-ndjson",
    ".npy": "application/octet-stream",
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}.items():
    _TYPES.add_type(_kind, _suffix)


def media_type(name: str) -> str:
    """Name the media type of a file by its suffix.

    Examples
    --------
    >>> media_type("B04.tif"), media_type("fields.tar.gz"), media_type("notes")
    ('image/tiff', 'application/gzip', 'application/octet-stream')
    """
    kind, packed = _TYPES.guess_type(f"file:{name}")
    if packed is not None:
        return "application/gzip" if packed == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"


def file_answer(request: Request, path: Path, *, headers: dict[str, str] | None = None) -> Response:
    """Answer a GET or HEAD with a file: Range, If-Range and If-None-Match are obeyed.

    Several ranges at once, and units other than bytes, are answered with the whole file, which
    RFC 9110 allows.
    """
    file = path.open("rb", buffering=0)
    try:
        return _answer(request, file, headers or {})
    except BaseException:
        file.close()
        raise


def _answer(request: Request, file: BinaryIO, extra: dict[str, str]) -> Response:
    state = os.fstat(file.fileno())
    headers = {
        "accept-ranges": "bytes",
        "etag": f'"{state.st_mtime_ns:x}-{state.st_size:x}-{state.st_ino:x}"',
        "last-modified": formatdate(state.st_mtime, usegmt=True),
        **extra,
    }
    if _is_known(request, headers["etag"]):
        file.close()
        return Response(status_code=304, headers={"etag": headers["etag"]})
    asked = _asked_range(request, headers)
    if asked is None:
        return _body(request, file, 0, state.st_size, 200, headers)
    start, stop = _span(asked, state.st_size)
    if start >= stop:
        file.close()
        return _unsatisfiable(state.st_size)
    headers["content-range"] = f"bytes {start}-{stop - 1}/{state.st_size}"
    headers.pop("content-md5", None)
    return _body(request, file, start, stop, 206, headers)


def _is_known(request: Request, etag: str) -> bool:
    told = request.headers.get("if-none-match", "")
    return etag in (tag.strip().removeprefix("W/") for tag in told.split(","))


def _asked_range(request: Request, headers: dict[str, str]) -> str | None:
    """Take the range that is asked for, unless the file is not the one that it was meant for."""
    asked = request.headers.get("range")
    version = request.headers.get("if-range")
    if version is not None and version not in {headers["etag"], headers["last-modified"]}:
        return None
    if asked is None or "," in asked or not asked.lower().startswith("bytes"):
        return None
    return asked


def _span(asked: str, size: int) -> tuple[int, int]:
    """Find where a range starts and stops; empty where the file has nothing of it."""
    found = _RANGE.fullmatch(asked)
    if found is None or found.groups() == ("", ""):
        return 0, 0
    first, last = (int(digits) if digits else None for digits in found.groups())
    if first is None:
        return max(0, size - (last or 0)), size
    if last is not None and last < first:
        return 0, 0
    return first, size if last is None else min(size, last + 1)


def _unsatisfiable(size: int) -> Response:
    told = {"detail": f"No such range: the file has {size} bytes."}
    return JSONResponse(told, 416, {"content-range": f"bytes */{size}"})


def _body(
    request: Request, file: BinaryIO, start: int, stop: int, status: int, headers: dict[str, str]
) -> Response:
    headers["content-length"] = str(stop - start)
    headers.setdefault("content-type", "application/octet-stream")
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    file.seek(start)
    if stop - start > _BLOCK:
        return _FileBody(file, stop - start, status, headers)
    with file:
        return Response(file.read(stop - start), status, headers)


class _FileBody(StreamingResponse):
    """A long body, read block by block in other threads; the file is closed in any case."""

    def __init__(self, file: BinaryIO, size: int, status: int, headers: dict[str, str]) -> None:
        self._file = file
        super().__init__(self._blocks(size), status, headers)

    async def _blocks(self, left: int) -> AsyncIterator[bytes]:
        while left:
            block = await run_in_threadpool(self._file.read, min(left, _BLOCK))
            if not block:
                raise OSError(f"{self._file.name} became shorter while it was read")
            left -= len(block)
            yield block

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
