"""Every error that haversack raises, in one tree.

Each is also the builtin that a caller would expect, so ``except KeyError`` and
``except FileNotFoundError`` work as usual::

    HaversackError
    ├── UsageError (ValueError)             arguments that contradict each other or make no sense
    │   ├── UnsupportedError (TypeError)    a kind of value or file that haversack does not take
    │   ├── TooLargeError (MemoryError)     a result that memory cannot hold
    │   └── EmptySelectionError (RuntimeError)    filters that leave nothing
    ├── MissingExtraError (ImportError)     an optional dependency that is not installed
    ├── NotFoundError (LookupError)
    │   ├── RecordNotFoundError (KeyError)  no such key in a dataset
    │   ├── PositionError (IndexError)      an index beyond the end
    │   │   └── NoBlockError (ValueError)   a block that a split array does not have
    │   ├── PathNotFoundError (FileNotFoundError)
    │   ├── EmptySourceError                a source that is whole, with nothing in it
    │   └── VersionGoneError                a snapshot whose files were removed: refresh()
    ├── ExistsError (FileExistsError)       an output that would be overwritten
    │   └── KeyExistsError (KeyError)       a key that the dataset already has
    ├── ConflictError (RuntimeError)        another writer changed it in the meantime
    ├── LockTimeoutException (TimeoutError) another writer holds the place for too long
    ├── FormatError (ValueError)            a file that is not what it should be
    │   ├── NewerFormatError                written by a later haversack
    │   └── IntegrityError                  its bytes disagree with their checksum
    ├── StorageError (OSError)              the disk refuses: full, read-only, failing
    ├── WorkerDiedError (RuntimeError)      a process that worked for us ended without an answer
    ├── DownloadError (OSError)             a source or assets that could not be fetched
    │   ├── SourceNotFoundError             also a NotFoundError: the server has no such thing
    │   ├── AccessRefusedError (PermissionError)  the server wants a key, or another one
    │   ├── NetworkError (ConnectionError)  a server that is not reached, or fails
    │   └── UnexpectedAnswerError           also a FormatError: it answers something else
    └── MLHubException (ConnectionError)    the hub
        ├── AuthenticationError (PermissionError)
        ├── APIKeyNotFound (LookupError)
        ├── NoHubError                      none is set
        ├── ProfilesError                   also a FormatError: the profiles file is damaged
        └── EntityDoesNotExist (LookupError)

``exit_code`` is what the command line ends with.
"""


class HaversackError(Exception):
    """Base of all errors raised by haversack."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError would show the repr of the message.
        return Exception.__str__(self)


class UsageError(HaversackError, ValueError):
    """Arguments that contradict each other or make no sense."""

    exit_code = 2


class UnsupportedError(UsageError, TypeError):
    """A kind of value or file that haversack does not take."""


class TooLargeError(UsageError, MemoryError):
    """A result that is larger than memory can hold."""


class EmptySelectionError(UsageError, RuntimeError):
    """Filters that leave nothing to work on."""

    exit_code = 3


class MissingExtraError(HaversackError, ImportError):
    """An optional dependency that is not installed."""

    exit_code = 2


class NotFoundError(HaversackError, LookupError):
    """Something that was asked for is not there."""

    exit_code = 3


class RecordNotFoundError(NotFoundError, KeyError):
    """A dataset has no record of that key."""


class PositionError(NotFoundError, IndexError):
    """An index beyond the end of a dataset."""


class NoBlockError(PositionError, ValueError):
    """A number, place or point that belongs to no block of a split array."""


class PathNotFoundError(NotFoundError, FileNotFoundError):
    """A path that does not exist."""


class EmptySourceError(NotFoundError):
    """A source that is there and whole, with nothing in it: no items, no collections, no URLs."""


class VersionGoneError(NotFoundError):
    """The files of an open snapshot were removed; ``refresh()`` opens the current one."""


class ExistsError(HaversackError, FileExistsError):
    """An output that would be overwritten."""

    exit_code = 6


class KeyExistsError(ExistsError, KeyError):
    """A key that the dataset already has."""


class ConflictError(HaversackError, RuntimeError):
    """Another writer changed, in the meantime, what was to be written."""

    exit_code = 6


class LockTimeoutException(HaversackError, TimeoutError):  # noqa: N818 (the old package's name)
    """Another writer held the place for longer than the caller would wait."""

    exit_code = 6


class FormatError(HaversackError, ValueError):
    """A file that is not what it should be."""

    exit_code = 7


class NewerFormatError(FormatError):
    """A file written by a later haversack than this one."""


class IntegrityError(FormatError):
    """Bytes that disagree with their checksum."""


class StorageError(HaversackError, OSError):
    """The disk refuses: full, read-only or failing."""

    exit_code = 8


class WorkerDiedError(HaversackError, RuntimeError):
    """A process that worked for us ended without an answer: killed, or out of memory."""


class DownloadError(HaversackError, OSError):
    """A source, or assets, that could not be fetched; the report lists the latter."""

    exit_code = 1


class SourceNotFoundError(DownloadError, NotFoundError):
    """A server has nothing at an address: it answers 404 or 410."""

    exit_code = 3


class AccessRefusedError(DownloadError, PermissionError):
    """A server asks for a key, or refuses the one that it got: it answers 401 or 403."""

    exit_code = 4


class NetworkError(DownloadError, ConnectionError):
    """A server that is not reached, breaks off, fails, or must not be reached."""

    exit_code = 5


class UnexpectedAnswerError(DownloadError, FormatError):
    """A server answers something else than what it was asked for: a web page, other bytes."""

    exit_code = 7


class MLHubException(HaversackError, ConnectionError):  # noqa: N818 (the old client's name)
    """The hub cannot be reached, or answers with an error."""

    exit_code = 5


class AuthenticationError(MLHubException, PermissionError):
    """The hub refuses the API key."""

    exit_code = 4


class APIKeyNotFound(MLHubException, LookupError):  # noqa: N818 (the old client's name)
    """No API key in the arguments, the environment or the profiles file."""

    exit_code = 4


class NoHubError(MLHubException):
    """No hub is named: in the arguments, the environment or the profiles file."""


class ProfilesError(MLHubException, FormatError):
    """The profiles file cannot be read, or is none."""

    exit_code = 7


class EntityDoesNotExist(MLHubException, LookupError):  # noqa: N818 (the old client's name)
    """The hub has no such dataset, collection, item or model."""

    exit_code = 3
