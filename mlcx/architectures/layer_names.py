"""Which layers the patterns of a quantization recipe mean, by their names in MLC.

A pattern is a glob, ``*``, ``?`` and ``[…]``. It matches a whole name, or all that
follows one of its dots: ``layers.0.*`` is ``model.layers.0.*`` too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from types import ModuleType

from mlcx.architectures.config import ModelConfig

__all__ = ["idle", "layer_names", "matches"]


def layer_names(architecture: ModuleType, config: ModelConfig) -> list[str]:
    """Return the names of all layers with matrices.

    Also those of a head that is tied, or of a kind of blocks that ``config`` lacks.
    """
    fields = config.to_dict()
    count = fields.get("num_hidden_layers", fields.get("n_layer"))
    assert isinstance(count, int), "it says how many layers it has"
    return list(
        dict.fromkeys(
            name.replace("{i}", str(n))
            for name in architecture.LAYERS
            for n in range(count)
        )
    )


def matches(pattern: str, name: str) -> bool:
    """Say whether ``pattern`` means the layer ``name``."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def idle(patterns: Iterable[str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each of ``patterns`` that matches none of ``names``, and what is near."""
    for pattern in patterns:
        if not any(matches(pattern, name) for name in names):
            yield pattern, _near(pattern, names)


def _near(pattern: str, names: Iterable[str]) -> str:
    known = dict.fromkeys(re.sub(r"\d+", "*", name) for name in names)
    ends = dict.fromkeys(name.rpartition(".")[2] for name in known)
    start = pattern.removeprefix("*.")
    near = difflib.get_close_matches(start, [*known, *ends], 3, cutoff=0.5)
    return ", ".join(map(repr, near or known))
