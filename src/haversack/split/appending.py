"""Append frames to an array that grows along its first axis, while others read it."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from haversack.errors import ConflictError, ExistsError, UsageError
from haversack.split.blockfiles.block import Shape, as_array, as_dtype, check_dtype, refuse_masked
from haversack.split.chunks.chunking import block_shape_for
from haversack.split.chunks.codec import coding_named
from haversack.split.dataset import is_split
from haversack.split.directory.about import check_distances, check_names, describe
from haversack.split.directory.growing import LOCK
from haversack.split.directory.metadata import METADATA, Stack, metadata_document, read_stack
from haversack.split.growth.recovery import discard, make_room, recover
from haversack.split.growth.rows import check_frame
from haversack.split.growth.slabs import OpenSlab, publish_slab
from haversack.split.planning.cutting import PartialShape, whole_sizes
from haversack.split.writing import taken
from haversack.storage import publish
from haversack.storage.lock import exclusive
from haversack.storage.looking import as_path, exists


class FrameWriter:
    """Append frames to a split array; each is durable and seen by readers when ``append`` returns.

    One writer appends at a time: where a second one opens the array, the first is told by its next
    ``append``. Whole blocks are published in the background while frames go on to a journal;
    :meth:`close` publishes the rest, after which the old package opens the array too. After a
    crash the next writer goes on where this one was. Threads may share a writer: their calls take
    turns. A process that is forked has to open one of its own.

    Parameters
    ----------
    path
        Directory of the array: one that a FrameWriter began, or a new one.
    block_size
        Shape of a block, frames first, None for a full length. By default whole frames, as many as
        make about 64 MiB. Only for a new array, as all that follows.
    dtype
        What the frames are; by default the first one decides.
    compression
        ``"blosc"`` (lz4), ``"zstd"``, ``"zlib"`` or None.
    layout
        ``"frames"``, ``"balanced"`` or ``"traces"``, as for :func:`save_to_split_dataset`.
    about
        ``resolution``, ``axes``, ``units``, ``frequency`` and ``metadata``, as for
        :func:`save_to_split_dataset`.

    Raises
    ------
    ExistsError
        The directory holds an array that does not grow.
    UsageError
        Arguments that contradict each other, or that there are not.

    Examples
    --------
    >>> with FrameWriter("live", block_size=(8, None, None), frequency=20) as writer:
    ...     for t in range(11):
    ...         writer.append(np.full((32, 32), t, "uint16"))
    >>> from haversack.split import SplitDataset
    >>> SplitDataset("live")[-1, 0, :3]
    array([10, 10, 10], dtype=uint16)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        block_size: PartialShape = None,
        dtype: DTypeLike | None = None,
        compression: str | None = "blosc",
        layout: str = "balanced",
        **about: Any,
    ) -> None:
        check_names(about, "FrameWriter")
        self.path = as_path(path)
        self._block_size = None if block_size is None else whole_sizes(block_size)
        self._about = about
        self._dtype = None if dtype is None else as_dtype(dtype)
        self._coding, self._names = coding_named(compression, layout), (compression, layout)
        self._stack: Stack | None = None
        self._slab: OpenSlab | None = None
        self._end, self._began = 0, ""
        self._full: list[OpenSlab] = []  # to be published
        self._pool: ThreadPoolExecutor | None = None
        self._publishing: Future[None] | None = None
        self._closed = False
        self._turns, self._is_busy, self._process = threading.RLock(), False, os.getpid()
        if exists(self.path / METADATA):
            self._open()
        elif is_split(self.path):
            raise taken(self.path)

    def _open(self) -> None:
        """Take the array over, and go on with what a writer before left unpublished."""
        stack = read_stack(self.path)
        if not stack.growable:
            raise ExistsError(
                f"{self.path} holds an array that does not grow: save it as a new one"
            )
        self._check_same(stack)
        self._coding = coding_named(stack.compression, stack.layout)
        self._keep_name()
        with publish.telling("open", self.path), exclusive(self.path / LOCK):
            publish.sweep(self.path)
            self._stack, self._full = recover(self.path, self._coding)
        self._end = self._full[-1].end if self._full else self._stack.shape[0]
        if self._full and self._full[-1].rows < self._stack.shape_block[0]:
            self._slab = self._full.pop()

    def _keep_name(self) -> None:
        """Make the directory's name durable: who made it may have died before."""
        with publish.telling("write", self.path):
            publish.sync_directory(self.path.absolute().parent)

    def _check_same(self, stack: Stack) -> None:
        """Refuse arguments that say otherwise than the array that is there."""
        if self._dtype not in {None, stack.dtype}:
            raise UsageError(f"{self.path} is {stack.dtype}, not {self._dtype}")
        frame = np.broadcast_to(np.empty((), stack.dtype), stack.shape[1:])
        size = block_shape_for(self._block_size or stack.shape_block, frame)
        if size != stack.shape_block:
            raise UsageError(f"{self.path} has blocks of {stack.shape_block}, not {size}")
        if self._about and describe(len(stack.shape), **self._about) != stack.about:
            raise UsageError(f"{self.path} is described otherwise: leave {[*self._about]} out")

    def _begin(self, frame: NDArray[Any]) -> None:
        """Make the array; the first frame says what frames are."""
        check_dtype(frame.dtype)
        check_distances(self._about.get("resolution"), frame.ndim + 1)
        stack = Stack(
            shape=(0, *frame.shape),
            shape_block=block_shape_for(self._block_size, frame),
            padding=(0,) * (frame.ndim + 1),
            about=describe(frame.ndim + 1, **self._about),
            array=secrets.token_hex(16),
            dtype=frame.dtype,
            growable=True,
            compression=self._names[0] or "none",
            layout=self._names[1],
        )
        check_frame(stack)
        publish.make_directory(self.path)
        self._keep_name()
        publish.sweep(self.path)
        make_room(self.path)
        self._began = stack.array  # from here on, no journal can be another's
        publish.create(self.path / METADATA, metadata_document(stack))
        self._stack = stack

    @property
    def shape(self) -> Shape:
        """Shape of the array with all frames that were appended; empty before the first."""
        return () if self._stack is None else (self._end, *self._stack.shape[1:])

    def __len__(self) -> int:
        return self._end

    def rows_of(self, frame: NDArray[Any]) -> int:
        """Say how many such frames a block of the array has."""
        if self._stack is not None:
            return self._stack.shape_block[0]
        return block_shape_for(self._block_size, frame)[0]

    def append(self, frame: ArrayLike) -> None:
        """Append one frame; it is durable when this returns.

        Parameters
        ----------
        frame
            Numbers of the array's dtype, of the shape of the other frames.

        Raises
        ------
        UsageError
            Another shape or dtype, or a masked array; or the writer is closed, is of the process
            that this one was forked from, or was interrupted in an append of this thread.
        ConflictError
            Another writer took the array over.
        StorageError
            The disk refuses. The frame was not appended, and may be given again.
        """
        self.extend(as_array(frame)[None])

    def extend(self, frames: Any) -> None:
        """Append many frames: durable when this returns, and in between in pieces.

        Parameters
        ----------
        frames
            An array with one axis more than a frame has, or whatever slices as one does. Of an
            error, ``len(writer)`` says how many frames are in.

        Raises
        ------
        UsageError, ConflictError, StorageError
            As :meth:`append`.
        """
        refuse_masked(frames)
        frames = frames if hasattr(frames, "dtype") else np.asarray(frames)
        if not frames.ndim:
            raise UsageError("frames have an axis more than one frame has, but this has none")
        with self._turn():
            self._extend(frames)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Keep all others out that would append or close."""
        if self._is_forked:
            raise UsageError(
                f"the writer of {self.path} is of the process that this one was forked from: "
                "open another one here, which takes the array over"
            )
        with self._turns:
            if self._closed:
                raise UsageError(f"the writer of {self.path} is closed")
            if self._is_busy:
                raise UsageError(
                    f"the writer of {self.path} is amid another call of this thread, which a "
                    "signal has interrupted: append when that has returned"
                )
            self._is_busy = True
            try:
                yield
            finally:
                self._is_busy = False

    @property
    def _is_forked(self) -> bool:
        return os.getpid() != self._process

    def _extend(self, frames: Any) -> None:
        done = 0
        try:
            while done < len(frames):
                self._catch_up()
                rows = self._rows_that_fit(frames)
                done += self._put(as_array(frames[done : done + rows]))
        except ConflictError:
            self._let_go()
            raise

    def _rows_that_fit(self, frames: Any) -> int:
        if self._stack is None:
            self._check_dtype(np.dtype(frames.dtype), self._dtype)
            if exists(self.path / METADATA):  # begun meanwhile, or by us before an error
                self._open()
            else:
                self._begin(np.asarray(frames[0]))
        assert self._stack is not None
        rows = self._stack.shape_block[0]
        return rows - (self._slab.rows if self._slab else 0)

    def _check_dtype(self, found: np.dtype[Any], wanted: np.dtype[Any] | None) -> None:
        if found != (wanted or found):
            raise UsageError(f"the frames are {found}, but {self.path} is {wanted}")

    def _put(self, frames: NDArray[Any]) -> int:
        """Append frames that fit into the slab."""
        stack = self._stack
        assert stack is not None
        self._check_dtype(frames.dtype, stack.dtype)
        if frames.shape[1:] != stack.shape[1:]:
            raise UsageError(
                f"a frame of shape {frames.shape[1:]} does not fit: others are {stack.shape[1:]}"
            )
        number = self._end // stack.shape_block[0]
        if self._slab is None and len(frames) == stack.shape_block[0] and not self._full:
            publish_slab(self.path, stack, self._end, frames, self._coding)
            self._end += len(frames)
            return len(frames)
        if self._slab is None:
            self._slab = OpenSlab.begin(self.path, stack, number)
        self._slab.append(frames, self._coding)
        self._end += len(frames)
        if self._slab.rows == stack.shape_block[0]:
            self._full.append(self._slab)
            self._slab = None
            self._publish_next()
        return len(frames)

    def _publish_next(self) -> None:
        """Begin to publish the first full slab, unless one is being published."""
        if self._full and self._publishing is None:
            self._pool = self._pool or ThreadPoolExecutor(1, "haversack-publish")
            self._publishing = self._pool.submit(self._full[0].publish, self._coding)

    def _catch_up(self) -> None:
        """Tell of a publication that failed, and let no more than two slabs wait."""
        if self._publishing is not None and (self._publishing.done() or len(self._full) > 1):
            self._wait()
        self._publish_next()

    def _wait(self) -> None:
        if self._publishing is not None:
            published, self._publishing = self._publishing, None
            published.result()
            self._full.pop(0)

    def close(self) -> None:
        """Publish all frames as blocks, so that any reader finds them; twice does no harm.

        Raises
        ------
        ConflictError
            Another writer took the array over.
        StorageError
            The disk refuses. The frames are safe; the next writer publishes them.
        """
        if not self._closed and not self._is_forked:
            with self._turn():
                self._close()

    def _close(self) -> None:
        if self._slab is not None and self._slab.rows:
            self._full.append(self._slab)
        elif self._slab is not None:
            self._slab.drop()
        self._slab = None
        try:
            while self._full:
                self._publish_next()
                self._wait()
        finally:
            self._let_go()

    def give_up(self) -> None:
        """Close without publishing, and remove the array if this writer began it."""
        if self._is_forked:
            return
        if not self._closed:
            with self._turn():
                self._let_go()
        discard(self.path, self._began)

    def _let_go(self) -> None:
        """Close what is open; what is not published stays in the journals."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown()
        for slab in [*self._full, *([self._slab] if self._slab else [])]:
            slab.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
