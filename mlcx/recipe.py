"""How parameters are made of a checkpoint's tensors, as data.

Models say it and conversions do it; neither knows the other. Everything here is done a
few rows at a time, so that no recipe needs a whole tensor in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Array", "Join", "Recipe", "joined"]

Array: TypeAlias = "npt.NDArray[Any]"


@dataclass(frozen=True)
class Join:
    """How several tensors make one parameter."""

    by: Literal["rows", "columns", "same"] = "rows"
    """Above each other, or beside each other, or the first, as all are equal."""
    multiple: int = 1
    """All but the last are a multiple of this high, or wide when beside each other."""
    taller: int = 1
    """Tensors that are joined by columns may have so many times fewer rows, each so
    many times longer: ``convert`` makes the parameter's rows of theirs."""
    convert: Callable[[Array], Array] | None = None


@dataclass(frozen=True)
class Recipe:
    """What one parameter is made of, or each of those that a pattern names.

    A parameter of more axes than the tensors takes the joined rows as they follow each
    other, as a stack of the weights of all experts does.
    """

    tensors: tuple[str, ...]
    """Their names; ``{i}`` stands for the number that it stands for in the pattern, and
    what is [in brackets] is there in some checkpoints and missing in others."""
    groups: int = 1
    parts: tuple[int, ...] = (1,)
    """Rows are ``groups`` groups of pieces, one for each part and as high in relation;
    the parameter has the first piece of every group, then the second of every one."""
    order: tuple[int, ...] = ()
    """Which part comes first in the parameter, which second, …; empty: as they lie."""
    transposed: bool = False
    """Whether tensors have columns where the parameter has rows; all that is said of
    rows is then of the tensors' columns."""
    value: Callable[[Array], Array] | None = None
    """Element by element, in the checkpoint's dtype, or float32 for bfloat16."""
    exact: bool = False
    """Whether float32 is stored as it is, since bfloat16 would be too coarse."""
    join: Join = Join()
    """Unless it is by rows, what is said of rows above does not apply."""


def joined(prefix: str, name: str, *parts: str) -> dict[str, Recipe]:
    """Say that the parameter ``name`` is ``parts``, all of them below ``prefix``."""
    return {prefix + name: Recipe(tuple(prefix + part for part in parts))}
