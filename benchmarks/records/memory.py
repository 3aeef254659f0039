"""What a process holds in memory."""

from pathlib import Path

_NAMES = {"RssAnon": "private", "RssFile": "files", "RssShmem": "shared"}


def memory() -> dict[str, int]:
    """Give this process's memory in bytes: its own, and that of files, which others can share."""
    found = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in _NAMES:
            found[_NAMES[name]] = int(rest.split()[0]) * 1024
    return found
