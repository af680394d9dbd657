"""How a process of mlcx is started: by the same Python, in whatever folder.

``python -m`` takes modules from the current folder first, and that may be anybody's:
a ``numpy.py`` beside a spec would run. What a user adds with ``PYTHONPATH`` counts.
"""

from __future__ import annotations

import sys

__all__ = ["LOGGED", "command"]

LOGGED = {"PYTHONIOENCODING": "utf-8:surrogateescape"}
"""For the environment of a process whose output goes to a log: that is UTF-8.

Else it would be whatever the locale says. The bytes of a file's name that is no text
stay as they are.
"""

_SAFE = (3, 11)
"""The first version of Python that has the option ``-P``."""
_RUN = (
    "import sys; del sys.path[0], sys.argv[0]; from runpy import run_module; "
    "run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
"""Does the same in earlier ones, which put an empty path first for ``-c``."""


def command(
    module: str, version: tuple[int, int] = sys.version_info[:2]
) -> tuple[str, ...]:
    """Return the words that run ``module``, by this Python of ``version``."""
    how = ("-P", "-m") if version >= _SAFE else ("-c", _RUN)
    return (sys.executable, *how, module)
