"""Which steps' files can be stored for others, and under which key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlcx.signature.compiling import Inputs
from mlcx.signature.key import key
from mlcx.spec.digest import digest_file
from mlcx.steps.requests import Request

__all__ = ["CACHED_VERBS", "keys"]

CACHED_VERBS = frozenset(
    "gen_config normalize compile web_runtime reference-logits measure-quality".split()
)
"""Verbs all of whose files are targets: a conversion's shards, say, are not."""


def keys(
    request: Request, digest: Callable[[Path], str] = digest_file
) -> tuple[str, ...] | None:
    """Return the key of each target; None: there is none, or a source is missing.

    Args:
        request: The step.
        digest: Returns the SHA-256 of a source, or raises ``FileNotFoundError``.
    """
    if request.verb not in CACHED_VERBS:
        return None
    try:
        contents = [digest(source) for source in request.sources]
    except FileNotFoundError:
        return None
    if request.reads_folder:  # equal files of other names mean something else
        names = (source.name for source in request.sources)
        contents = [" ".join(pair) for pair in zip(names, contents, strict=True)]
    words = (*request.options, *(option for option, _ in request.files))
    inputs = Inputs(request.verb, words, request.facts)
    return tuple(
        key(inputs, contents, target.suffix, position)
        for position, target in enumerate(request.targets)
    )
