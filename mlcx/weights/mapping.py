"""Which tensors of a checkpoint make which parameters of a model.

Plain data in, plain data out: no weight is read. Everything that does not fit is
reported at once, before any work.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path

from mlcx.errors import InputError, Problem
from mlcx.quant.packing import Given, Packer, Packing
from mlcx.recipe import Join, Recipe
from mlcx.weights.tensor import Tensor, sources_of

__all__ = ["Mapped", "Parameter", "Run", "WeightMap", "map_weights", "no_use_for"]

_NAMED = 5
_HINTS = 3
_COMPARED = 1000
"""How many missing tensors get a hint, and of how many names at most."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of the unquantized model, in the model's dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    packing: Packing | None = None
    """How it is stored packed; None: as it is."""


@dataclass(frozen=True)
class Run:
    """Elements of a tensor that follow each other in a parameter too."""

    tensor: Tensor
    first: int
    size: int


@dataclass(frozen=True)
class Mapped:
    """A parameter, and the tensors that make it by a recipe."""

    parameter: Parameter
    sources: tuple[Tensor, ...]
    recipe: Recipe

    @property
    def nbytes(self) -> int:
        """Bytes of the sources in the checkpoint."""
        return sum(tensor.nbytes for tensor in self.sources)

    @property
    def packer(self) -> Packer | None:
        """What packs the parameter; None: it is stored as it is."""
        packing = self.parameter.packing
        assert not isinstance(packing, Given), "map_weights takes it apart"
        return packing

    def runs(self) -> Iterator[Run]:
        """Yield where the parameter's elements are found, in their order.

        The elements of a transposed tensor count column by column.
        """
        groups, parts = self.recipe.groups, self.recipe.parts
        starts = [0, *accumulate(parts)]
        order = self.recipe.order or range(len(parts))
        for tensor in self.sources:
            unit, rest = divmod(tensor.size, groups * starts[-1])
            assert not rest, f"{tensor.name} has no {groups} groups of {parts}"
            for part in order:
                for group in range(groups):
                    first = (group * starts[-1] + starts[part]) * unit
                    yield Run(tensor, first, parts[part] * unit)


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
    recipes: Mapping[str, Recipe],
    unused: Iterable[str],
    tensors: Sequence[Tensor],
    source: Path,
) -> WeightMap:
    """Find the sources of every parameter.

    Args:
        parameters: All of the model's.
        recipes: Pattern of a parameter's name to its recipe; ``{i}`` and the like stand
            for a number. Without one, a parameter is the tensor of its name.
        unused: Patterns of tensors that may be there and are passed over, with
            brackets as in a recipe.
        tensors: The checkpoint's, in the order of conversion.
        source: Named in messages.

    Raises:
        InputError: Tensors are missing or have wrong shapes or dtypes; all are named.
    """
    known = {tensor.name: tensor for tensor in tensors}
    patterns = {_compile(name): recipe for name, recipe in recipes.items()}
    made = [(each, _recipe(each.name, patterns, known)) for each in parameters]
    wanted = dict(part for each in made for part in _parts(*each))
    taken = {name for recipe in wanted.values() for name in recipe.tensors}
    passed = [_compile(name) for name in unused]
    beside = {name for each in made for name in _beside(*each)}
    extra = [name for name in known if name not in taken]
    ignored = [
        name
        for name in extra
        if name not in beside and not any(p.fullmatch(name) for p in passed)
    ]
    messages = _messages(wanted, known, ignored)
    if messages:
        raise InputError([Problem(str(source), 0, 0, text) for text in messages])
    place = {name: position for position, name in enumerate(known)}
    mapped = [
        Mapped(parameter, tuple(known[name] for name in recipe.tensors), recipe)
        for parameter, recipe in wanted.items()
    ]
    mapped.sort(key=lambda each: min(place[tensor.name] for tensor in each.sources))
    declared = set(extra) - set(ignored)
    elements = sum(tensor.size for tensor in tensors if tensor.name not in declared)
    return WeightMap(tuple(mapped), tuple(ignored), elements)


def _compile(pattern: str) -> re.Pattern[str]:
    """Return what matches ``pattern``, whose ``{i}`` stand for numbers."""
    escaped = re.sub(r"\\\[(.*?)\\\]", r"(?:\1)?", re.escape(pattern))
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9]+)", escaped))


def _recipe(
    name: str, patterns: Mapping[re.Pattern[str], Recipe], known: Container[str]
) -> Recipe:
    """Return the recipe of the parameter ``name``, with ``known`` names as they are."""
    for pattern, recipe in patterns.items():
        if match := pattern.fullmatch(name):
            numbers = match.groupdict()
            names = (each.format(**numbers) for each in recipe.tensors)
            spelled = tuple(_spelled(each, known) for each in names)
            return replace(recipe, tensors=spelled)
    return Recipe((name,))


def _parts(parameter: Parameter, recipe: Recipe) -> Iterator[tuple[Parameter, Recipe]]:
    """Yield what is made of tensors: the parameter, or parts that a checkpoint has."""
    packing = parameter.packing
    if not isinstance(packing, Given):
        yield parameter, recipe
        return
    parts = packing.parts(parameter.name, parameter.shape)
    for (part, stored), (kind, join) in zip(
        parts.items(), packing.joins().items(), strict=True
    ):
        names = (name.removesuffix("weight") + kind for name in recipe.tensors)
        made = replace(recipe, tensors=tuple(names), join=join)
        yield Parameter(part, *stored), made


def _beside(parameter: Parameter, recipe: Recipe) -> Iterator[str]:
    """Yield what a checkpoint may hold beside the parts of a weight."""
    if isinstance(parameter.packing, Given):
        for name in recipe.tensors:
            for kind in parameter.packing.unused:
                yield name.removesuffix("weight") + kind


def _spelled(name: str, known: Container[str]) -> str:
    """Return ``name`` without what is in brackets if so it is known, else with it."""
    short = re.sub(r"\[.*?\]", "", name)
    return short if short in known else re.sub(r"[\[\]]", "", name)


def _messages(
    wanted: Mapping[Parameter, Recipe],
    known: Mapping[str, Tensor],
    extra: Sequence[str],
) -> list[str]:
    """Return all that keeps the tensors ``known`` from making what is ``wanted``."""
    names = (name for recipe in wanted.values() for name in recipe.tensors)
    hints = _hints((name for name in names if name not in known), extra)
    found = [
        message
        for parameter, recipe in wanted.items()
        for message in _check(parameter, recipe, known, hints)
    ]
    return [*found, no_use_for(extra)] if found and extra else found


def no_use_for(extra: Sequence[str]) -> str:
    """Say that the model takes none of the tensors ``extra``, and name some."""
    names = ", ".join(extra[:_NAMED])
    more = ", …" if len(extra) > _NAMED else ""
    many = "1 tensor" if len(extra) == 1 else f"{len(extra)} tensors"
    return f"the model has no use for {many} of the checkpoint: {names}{more}"


def _hints(missing: Iterable[str], extra: Sequence[str]) -> dict[str, str]:
    """Return what the first of ``missing`` may be called in the checkpoint.

    Of few only, as each is compared with all: a wrong prefix shows in one, too.
    """
    hints = {}
    for name in islice(missing, _HINTS):
        close = difflib.get_close_matches(name, extra[:_COMPARED], n=1, cutoff=0.8)
        if close:
            hints[name] = f"; did it mean {close[0]}?"
    return hints


def _check(
    parameter: Parameter,
    recipe: Recipe,
    known: Mapping[str, Tensor],
    hints: Mapping[str, str],
) -> Iterable[str]:
    """Yield what keeps the tensors of ``recipe`` from making ``parameter``."""
    names = recipe.tensors
    for name in names:
        if name not in known:
            joined = name != parameter.name
            use = f", which {parameter.name} is made of" if joined else ""
            yield f"lacks tensor {name}{use}{hints.get(name, '')}"
        elif known[name].dtype not in sources_of(parameter.dtype):
            expected = ", ".join(sources_of(parameter.dtype))
            found = known[name].dtype
            yield f"tensor {name}: expected one of the dtypes {expected}, found {found}"
    if all(name in known for name in names):
        shapes = [known[name].shape for name in names]
        found = " + ".join(f"{name} {list(known[name].shape)}" for name in names)
        if not _makes(_join(shapes, recipe), parameter.shape):
            expected = f"{list(parameter.shape)}{' transposed' * recipe.transposed}"
            yield f"{parameter.name}: expected {expected}, found {found}"
        elif _cuts(shapes, recipe.join):
            yield (
                f"{parameter.name}: expected all but the last to be a multiple of "
                f"{recipe.join.multiple} high, or scales would not fit, found {found}"
            )


def _join(shapes: Sequence[tuple[int, ...]], recipe: Recipe) -> tuple[int, ...] | None:
    """Return the shape of what tensors are joined to; None when they do not fit."""
    join = recipe.join
    if join.by == "same":
        return shapes[0] if len(set(shapes)) == 1 else None
    if join.by == "rows":
        return _pile([shape[:: -1 if recipe.transposed else 1] for shape in shapes])
    beside = _pile([shape[::-1] for shape in shapes])
    if beside is None or beside[0] % join.taller:
        return None
    width, *height = beside
    return (*(rows * join.taller for rows in height), width // join.taller)


def _pile(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of tensors joined on axis 0; None when they do not fit."""
    first = shapes[0]
    if len(shapes) == 1:
        return first
    if not first or any(shape[1:] != first[1:] for shape in shapes):
        return None
    return (sum(shape[0] for shape in shapes), *first[1:])


def _cuts(shapes: Sequence[tuple[int, ...]], join: Join) -> bool:
    """Say whether a seam goes through what must stay whole."""
    axis = 1 if join.by == "columns" else 0
    return any(shape[axis] % join.multiple for shape in shapes[:-1])


def _makes(joined: tuple[int, ...] | None, shape: tuple[int, ...]) -> bool:
    """Say whether rows ``joined`` are those of a parameter, or of a stack in one."""
    if not joined or len(joined) > len(shape):
        return joined == shape
    stack = len(shape) - len(joined) + 1
    return joined == (math.prod(shape[:stack]), *shape[stack:])
