"""What the name of a quantization scheme says of the size of what it makes."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence

__all__ = ["bits", "is_transposed", "option", "scale_bytes", "scheme"]

_GROUPS = re.compile(r"q(\d)(bf16|f16|f32)(?:_(\d))?")
_PLAIN = {"f16": 16, "bf16": 16, "f32": 32}
_EIGHT = ("e4m3", "e5m2", "fp8")
_GROUP = 32
"""Weights with one scale, in most schemes."""


def option(words: Sequence[str], name: str, otherwise: str) -> str:
    """Return the word after ``name`` among the options of a verb."""
    return words[words.index(name) + 1] if name in words else otherwise


def scheme(words: Sequence[str]) -> str:
    """Return the scheme in the options of a conversion; of a recipe, its base.

    What is no recipe, the conversion itself refuses: nothing is known of it.
    """
    given = option(words, "--quantization", "")
    if not given.startswith("{"):
        return given
    with contextlib.suppress(ValueError, KeyError, RecursionError):
        return str(json.loads(given)["base"])
    return ""


def bits(scheme: str) -> int | None:
    """Return the bits of a weight, without its scale; None: nothing is known."""
    if scheme.startswith(_EIGHT):
        return 8
    found = _GROUPS.match(scheme)
    if found is None:
        return None
    return int(found[1]) or _PLAIN[found[2]]


def scale_bytes(scheme: str) -> float:
    """Return the bytes of scales for each weight."""
    found = _GROUPS.match(scheme)
    return _PLAIN[found[2]] / 8 / _GROUP if found and found[1] != "0" else 0.0


def is_transposed(scheme: str) -> bool:
    """Whether a matrix is stored by columns, and so put together before any is."""
    found = _GROUPS.match(scheme)
    return found is not None and found[1] != "0" and found[3] == "0"
