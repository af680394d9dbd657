"""What the symbols of a library that is linked into an app begin with."""

from __future__ import annotations

import re

from mlcx.errors import UsageError

__all__ = ["automatic", "canonical_prefix"]


def canonical_prefix(text: str) -> str:
    """Return ``text`` as MLC's runtimes look for it: without dashes, ending in ``_``.

    An empty one stays empty.

    Raises:
        UsageError: It cannot be the start of a symbol.
    """
    prefix = text.replace("-", "_")
    if prefix and not prefix.endswith("_"):
        prefix += "_"
    if prefix and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        expected = "letters, digits, '_' and '-', not starting with a digit"
        raise UsageError(f"system library prefix {text!r}: expected {expected}")
    return prefix


def automatic(model_type: str, quantization: str) -> str:
    """Return the prefix of a library that is given none; MLC LLM's is the same."""
    words = f"{model_type}_{quantization}_"
    return canonical_prefix(re.sub(r"[^A-Za-z0-9_]", "_", words))
