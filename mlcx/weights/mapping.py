"""Which tensors of a checkpoint make which parameters of a model.

Plain data in, plain data out: no weight is read. Everything that does not fit is
reported at once, before any work.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlcx.errors import InputError, Problem
from mlcx.weights.safetensors import FLOATS, Tensor

__all__ = ["Mapped", "Parameter", "WeightMap", "map_weights"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of the unquantized model, in the model's dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantized: bool
    """Whether the scheme stores it packed."""


@dataclass(frozen=True)
class Mapped:
    """A parameter and the tensors that, joined on axis 0, are its value."""

    parameter: Parameter
    sources: tuple[Tensor, ...]


@dataclass(frozen=True)
class WeightMap:
    """How a checkpoint becomes a model."""

    mapped: tuple[Mapped, ...]
    """In the order of conversion: each where the first of its sources stands."""
    ignored: tuple[str, ...]
    """Tensors that no parameter takes and that were not declared unused."""
    source_elements: int
    """Elements of the checkpoint, less those of the tensors declared unused."""


def map_weights(
    parameters: Sequence[Parameter],
    rules: Mapping[str, tuple[str, ...]],
    unused: Iterable[str],
    tensors: Sequence[Tensor],
    source: Path,
) -> WeightMap:
    """Find the sources of every parameter.

    Args:
        parameters: All of the model's.
        rules: Pattern of a parameter's name to patterns of its sources; ``{i}`` and the
            like stand for a number. A parameter without a rule keeps its name.
        unused: Patterns of tensors that may be there and are passed over.
        tensors: The checkpoint's, in the order of conversion.
        source: Named in messages.

    Raises:
        InputError: Tensors are missing or have wrong shapes or dtypes; all are named.
    """
    known = {tensor.name: tensor for tensor in tensors}
    patterns = {_compile(name): sources for name, sources in rules.items()}
    wanted = {each: _source_names(each.name, patterns) for each in parameters}
    taken = {name for names in wanted.values() for name in names}
    passed = [_compile(name) for name in unused]
    extra = [name for name in known if name not in taken]
    ignored = [name for name in extra if not any(p.fullmatch(name) for p in passed)]
    messages = [
        message
        for parameter, names in wanted.items()
        for message in _check(parameter, names, known, ignored)
    ]
    if messages:
        raise InputError([Problem(str(source), 0, 0, text) for text in messages])
    place = {name: position for position, name in enumerate(known)}
    mapped = [
        Mapped(parameter, tuple(known[name] for name in names))
        for parameter, names in wanted.items()
    ]
    mapped.sort(key=lambda each: min(place[tensor.name] for tensor in each.sources))
    declared = set(extra) - set(ignored)
    elements = sum(tensor.size for tensor in tensors if tensor.name not in declared)
    return WeightMap(tuple(mapped), tuple(ignored), elements)


def _compile(pattern: str) -> re.Pattern[str]:
    """Return what matches ``pattern``, whose ``{i}`` stand for numbers."""
    escaped = re.escape(pattern)
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9]+)", escaped))


def _source_names(
    name: str, patterns: Mapping[re.Pattern[str], tuple[str, ...]]
) -> tuple[str, ...]:
    for pattern, sources in patterns.items():
        if match := pattern.fullmatch(name):
            return tuple(each.format(**match.groupdict()) for each in sources)
    return (name,)


def _check(
    parameter: Parameter,
    names: tuple[str, ...],
    known: Mapping[str, Tensor],
    extra: Sequence[str],
) -> Iterable[str]:
    """Yield what keeps the tensors called ``names`` from making ``parameter``."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, extra, n=1, cutoff=0.8)
            hint = f"; did it mean {close[0]}?" if close else ""
            yield f"lacks tensor {name}, which {parameter.name} is made of{hint}"
        elif known[name].dtype not in FLOATS:
            expected = ", ".join(FLOATS)
            found = known[name].dtype
            yield f"tensor {name}: expected one of the dtypes {expected}, found {found}"
    if all(name in known for name in names):
        shapes = [known[name].shape for name in names]
        if _join(shapes) != parameter.shape:
            found = " + ".join(f"{name} {list(known[name].shape)}" for name in names)
            yield f"{parameter.name}: expected {list(parameter.shape)}, found {found}"


def _join(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of tensors joined on axis 0; None when they do not fit."""
    first = shapes[0]
    if len(shapes) == 1:
        return first
    if not first or any(shape[1:] != first[1:] for shape in shapes):
        return None
    return (sum(shape[0] for shape in shapes), *first[1:])
