"""Where mlcx keeps what outlives a build: a folder of the user's, as MLC LLM has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["VARIABLE", "home"]

VARIABLE = "MLC_LLM_HOME"
_NAME = "mlc_llm"


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that ``environ`` means, absolute; it may not exist yet.

    ``MLC_LLM_HOME``, else ``mlc_llm`` in ``%LOCALAPPDATA%`` on Windows and in
    ``$XDG_CACHE_HOME`` or ``~/.cache`` elsewhere. Read anew at each call.
    """
    given = environ.get(VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    return _caches(environ) / _NAME


def _caches(environ: Mapping[str, str]) -> Path:
    windows = sys.platform == "win32"
    given = environ.get("LOCALAPPDATA" if windows else "XDG_CACHE_HOME")
    if given:
        return Path(given).absolute()
    own = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return own / ("AppData/Local" if windows else ".cache")
