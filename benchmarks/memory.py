"""What this process holds in memory, in bytes."""

from pathlib import Path

_NAMES = {"RssAnon": "private", "RssFile": "files", "RssShmem": "shared"}


def memory() -> dict[str, int]:
    """Give its own memory, and that of files, which others can share."""
    status = _status()
    return {name: status[theirs] for theirs, name in _NAMES.items() if theirs in status}


def resident(*, most: bool = False) -> int:
    """Give all that it has in memory, now or at the most.

    Raises
    ------
    OSError
        This system does not tell.
    """
    try:
        return _status()["VmHWM" if most else "VmRSS"]
    except KeyError:
        raise OSError("this system does not tell how much memory a process holds") from None


def _status() -> dict[str, int]:
    pairs = (line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(rest.split()[0]) * 1024 for name, rest in pairs if rest.endswith(" kB")}
