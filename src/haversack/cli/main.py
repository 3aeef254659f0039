"""Find the verb, run it, and end every expected failure in one clear line."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from haversack import __version__
from haversack.cli.signals import heed_signals
from haversack.errors import HaversackError, StorageError, UsageError

VERBS = (
    "list",
    "info",
    "download",
    "pack",
    "convert",
    "read",
    "view",
    "verify",
    "repair",
    "compact",
    "merge",
    "serve",
    "configure",
    "demo",
)

_STDERR = 2  # the number of its file


class Verbs(click.Group):
    """The verbs in the order of work; each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"haversack.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of our output has left, which is no failure; the interpreter must not
            # complain of it at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Find imagery datasets, fetch them, pack them, read them at training speed.\n\n"
    "\b\nhub ──► catalog ──► download ──► pack ──► read\n"
    "list    info        download     pack     read",
    epilog="Begin with: haversack demo",
)
@click.version_option(__version__, prog_name="haversack")
def cli() -> None:
    """Carry no work itself: every verb is a command of its own."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    _take_numbers()
    _open_messages()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    heed_signals()
    sys.exit(run(sys.argv[1:]))


def _take_numbers() -> None:
    """Open what is closed of stdin, stdout and stderr: no file may get its number.

    Stderr then goes nowhere; what is written to stdout fails as on a full disk.
    """
    while (number := os.open(os.devnull, os.O_RDONLY)) <= _STDERR:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = _Closed()


def _open_messages() -> None:
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (to the end)
    elif isinstance(sys.stderr, io.TextIOWrapper):
        told = sys.stderr
        sys.stderr = _Messages(told.buffer, told.encoding, told.errors, line_buffering=True)


class _Closed(io.TextIOBase):
    """Stdout that is closed: output that is lost must not end as if it were there."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, f"stdout is closed, to which {len(text)} characters were to go")


class _Messages(io.TextIOWrapper):
    """Stderr. Where it can no longer be written to, nobody reads it, and the work goes on."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(text)


def run(arguments: list[str]) -> int:
    """Run one command; the exit code says how it ended."""
    try:
        code = cli.main(arguments, prog_name="haversack", standalone_mode=False)
    except click.exceptions.Abort:
        return _complain("interrupted", 130)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HaversackError as error:
        return _complain(str(error), error.exit_code)
    except OSError as error:
        return _complain(_os_error(error), StorageError.exit_code)
    except MemoryError:
        return _complain("there is not enough memory for this", 1)
    except UnicodeEncodeError as error:
        text = ascii(error.object)
        return _complain(f"a name that is no valid text here: {text}", UsageError.exit_code)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    click.echo(f"haversack: {message}", err=True)
    return code


def _os_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
