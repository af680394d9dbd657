"""The key under which what a step makes is stored, for whoever would make the same."""

from __future__ import annotations

from collections.abc import Iterable

from mlcx.signature.compiling import Inputs
from mlcx.spec.digest import digest_json

__all__ = ["key"]

_VERSION = 2
"""Of what a key is made of."""


def key(inputs: Inputs, contents: Iterable[str], suffix: str, position: int = 0) -> str:
    """Return the name of what a step makes: 64 hexadecimal digits.

    No path, time or name of a model is in it: two that make the same have the same.

    Args:
        inputs: What it depends on besides files.
        contents: Digests of its sources, in the order of its command.
        suffix: Of the target, which decides how a library is linked.
        position: Of the target among those of the step.
    """
    facts = [str(fact) for fact in inputs.facts]
    made_of = [inputs.verb, inputs.options, facts, list(contents), suffix, position]
    return digest_json([_VERSION, *made_of])
