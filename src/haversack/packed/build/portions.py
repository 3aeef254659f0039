"""Read and encode items: what is left to do is to write them one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from haversack.errors import UnsupportedError
from haversack.packed.build.failures import Failure
from haversack.packed.build.marks import NoMarkError, mark
from haversack.packed.encoding.encoder import AUTO, CodecChoice, Encoder
from haversack.packed.encoding.kinds import Kind
from haversack.packed.encoding.metadata import dumps
from haversack.packed.manifests.index import plain_fields
from haversack.packed.reading.records import Record

_MOST: Final = 256  # records of a portion
_BYTES: Final = 1 << 20
_LARGE: Final = 1 << 16  # bytes of a payload that is not copied
_SECONDS: Final = 0.1  # after which a portion is given away, full or not
_PARTS: Final = 4  # of a tuple in a message
_NOTHING: Final[dict[str, Any]] = {}
Errors = Literal["raise", "skip"]


@dataclass(slots=True)
class Portion:
    """Neighbouring items that were read and encoded, column by column; failed ones apart."""

    first: int
    count: int = 0
    kinds: list[Kind] = field(default_factory=list)
    payloads: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)  # those that did not fail
    marks: list[bytes] | None = field(default_factory=list)
    size: int = 0
    seconds: float = 0.0

    def numbers(self) -> list[int]:
        """Give the numbers of the items that did not fail."""
        failed = {failure.number for failure in self.failures}
        every = range(self.first, self.first + self.count)
        return [number for number in every if number not in failed]

    def without(self, gone: set[int], failures: list[Failure]) -> Portion:
        """Leave out rows that turned out to fail."""
        kept = [row for row in range(len(self.kinds)) if row not in gone]
        portion = Portion(self.first, self.count, marks=self.marks, seconds=self.seconds)
        for name in ("kinds", "payloads", "texts", "fields", "keys", "items"):
            held = getattr(self, name)
            setattr(portion, name, [held[row] for row in kept])
        portion.failures = sorted([*self.failures, *failures], key=lambda failure: failure.number)
        portion.size = sum(map(len, portion.payloads))
        return portion


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to each item; sent to whoever does it."""

    read: Callable[[Any], Any] | None
    key: Callable[[Any], Any] | str | None
    codec: CodecChoice
    errors: Errors

    @property
    def encodes(self) -> bool:
        """Whether records are encoded before they are written."""
        return self.codec not in ("none", AUTO)

    def portions(self, first: int, items: Iterable[Any], *, own: bool = False) -> Iterator[Portion]:
        """Read and encode items, the first of which has that number.

        A portion is given away before the next item is taken, where it holds an array without
        having copied it; with ``own`` all are copied.
        """
        reader, portion, began = _Reader(self, own=own), Portion(first), time.perf_counter()
        for number, item in enumerate(items, first):
            portion.count += 1
            at_once = reader.add(portion, number, item)
            now = time.perf_counter()
            if at_once or portion.count >= _MOST or now - began > _SECONDS:
                portion.seconds = now - began
                yield portion
                if portion.failures and self.errors == "raise":
                    return
                portion, began = Portion(number + 1), time.perf_counter()
        if portion.count:
            portion.seconds = time.perf_counter() - began
            yield portion


class _Reader:
    """Reads and encodes one item after the other."""

    def __init__(self, recipe: Recipe, *, own: bool) -> None:
        self._recipe, self._own = recipe, own
        self._read, self._key = recipe.read, recipe.key
        self._encoder = Encoder(recipe.codec)
        self._raw = not recipe.encodes
        self._last: Kind | None = None  # of the raw records before

    def add(self, portion: Portion, number: int, item: Any) -> bool:
        """Add an item to a portion; tell whether the portion has to be given away now."""
        if portion.marks is not None and self._read is not None:
            try:
                portion.marks.append(mark(item))
            except NoMarkError:
                portion.marks = None
        try:
            kind, payload, text, fields, key = self._record(item)
        except Exception as error:  # noqa: BLE001 (a failing item is the caller's to judge)
            portion.failures.append(Failure.of(number, item, error))
            return self._recipe.errors == "raise"
        portion.kinds.append(kind)
        portion.payloads.append(payload)
        portion.texts.append(text)
        portion.fields.append(fields)
        portion.keys.append(key)
        portion.items.append(item)
        portion.size += len(payload)
        return type(payload) is not bytes or portion.size >= _BYTES

    def _record(self, item: Any) -> tuple[Kind, Any, str, dict[str, Any], Any]:
        given = item if self._read is None else self._read(item)
        array, metadata = (given, _NOTHING) if type(given) is np.ndarray else pair(given)
        last = self._last
        if (
            last is not None
            and type(array) is np.ndarray
            and array.dtype == last.dtype
            and array.shape == last.shape
        ):
            kind, payload = last, array.tobytes()
        else:
            kind, payload = self._encoded(array, given)
        key = None if self._key is None else self._key_of(item, metadata)
        if not metadata:
            return kind, payload, "{}", _NOTHING, key
        return kind, payload, dumps(metadata), plain_fields(metadata), key

    def _encoded(self, array: Any, given: Any) -> tuple[Kind, Any]:
        try:
            kind, payload = self._encoder.encode(array)
        except UnsupportedError as error:
            if array is not given or not isinstance(given, tuple | list):
                raise
            giver = "this is" if self._read is None else "read gave"
            raise UnsupportedError(
                f"{giver} {_described(given)}, neither an array nor (array, metadata): {error}"
            ) from error
        if self._raw and type(array) is np.ndarray and kind.nbytes < _LARGE:
            self._last = kind
        if self._own or len(payload) < _LARGE:
            return kind, payload.tobytes()
        return kind, payload

    def _key_of(self, item: Any, metadata: Mapping[Any, Any]) -> Any:
        return metadata[self._key] if isinstance(self._key, str) else self._key(item)  # type: ignore[misc]


def _described(value: tuple[Any, ...] | list[Any]) -> str:
    parts = [type(part).__name__ for part in value[:_PARTS]]
    more = ["..."] if len(value) > _PARTS else []
    return f"a {type(value).__name__} of {len(value)} ({', '.join(parts + more)})"


def pair(value: Any) -> tuple[Any, Mapping[Any, Any]]:
    """Tell an array with metadata from an array alone."""
    if isinstance(value, Record):
        encoded = value.encoded
        return value.data if encoded is None else encoded, value.metadata
    if isinstance(value, tuple) and len(value) == 2:
        array, metadata = value
        if type(metadata) is dict or isinstance(metadata, Mapping):
            return array, metadata
        if metadata is None:
            return array, _NOTHING
    return value, _NOTHING
