"""Which steps' files can be stored for others, and under which key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        contents = list(_contents(request, digest))
    except FileNotFoundError:
        return None
    words = (*request.options, *(option for option, _ in request.files))
    inputs = Inputs(request.verb, words, request.facts)
    return tuple(
        key(inputs, contents, target.suffix, position)
        for position, target in enumerate(request.targets)
    )


def _contents(request: Request, digest: Callable[[Path], str]) -> Iterator[str]:
    """Yield the digest of each source, after its name where it is found by that.

    So are those that no word of the command names: of other names they mean something
    else, a tokenizer.json that is called so no longer nothing at all.
    """
    told = {*request.models, *(path for _, path in request.files)}
    for source in request.sources:
        found = digest(source)
        yield found if source in told else f"{source.name} {found}"
