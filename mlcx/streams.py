"""Standard output and error as a command finds them: closed, full, or not in UTF-8."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from mlcx.errors import BuildError

__all__ = ["give_up", "prepare", "written"]

_ERRORS = "mlcx.plain"
"""How characters are written that an encoding lacks, for Python's codecs."""

_PLAIN = {"→": b"->", "…": b"..."}
"""Those that mlcx itself writes; others, which names bring in, as their numbers."""

_UNWRITTEN = {errno.EBADF, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EPIPE}


def prepare() -> None:
    """Let whatever is written be written, as far as it can be, or go nowhere."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # Takes the number of the one that is closed, before other files do.
            stream = open(os.devnull, "r+")  # noqa: SIM115, PTH123
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):  # what tests and notebooks put there has not
            output.reconfigure(errors=_ERRORS)


@contextlib.contextmanager
def written() -> Iterator[None]:
    """Write what has been printed in the context out at its end.

    Raises:
        BuildError: That fails, or printing did. Nothing is printed any more then.
        BrokenPipeError: The reader went away, in the same way.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Errors of all files but the output say which one it is.
        if error.filename is not None or error.errno not in _UNWRITTEN:
            raise
        message = give_up(error)
        if not message:
            raise
        raise BuildError(message) from error


def give_up(error: OSError) -> str:
    """Print nothing any more, since ``error`` kept something from being printed.

    Returns:
        What to say of it; empty: nothing, since the reader went away.
    """
    # Or the interpreter would fail again on exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return ""
    return f"the output cannot be written: {error.strerror}"


def _plain(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return b"".join(map(_encoded, text)), error.end


def _encoded(char: str) -> bytes:
    if "\udc80" <= char <= "\udcff":  # a byte of a file's name that is no text
        return bytes([ord(char) - 0xDC00])
    return _PLAIN.get(char) or char.encode("ascii", "backslashreplace")


codecs.register_error(_ERRORS, _plain)
