"""Whether a value that was read from a file has the shape that a type promises.

For files that only builds write: what is wrong in them need not be explained, only
known. Files of people are held against schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["fits"]


def fits(value: object, kind: Any) -> bool:
    """Say whether ``value`` is of ``kind`` through and through.

    Args:
        value: Of JSON's types, or an object of a dataclass that holds such values.
        kind: One of JSON's types, ``Any``, a dataclass, or a ``Literal``, ``Mapping``,
            ``dict``, ``tuple[X, ...]`` or union of those.
    """
    simple = _simple(kind)
    if simple is not None:
        return type(value) in simple
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin is not None:
        return _fits_inner(value, origin, inner)
    if is_dataclass(kind) and type(value) is kind:
        # Thousands of them: what needs no look inside is told at once.
        for name, hint, simple in _members(kind):
            member = getattr(value, name)
            if type(member) not in simple and not fits(member, hint):
                return False
        return True
    return type(value) in _PLAIN.get(kind, (kind,))


def _fits_inner(value: object, origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin in {Union, UnionType}:
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return type(value) is str and value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(each, inner[0]) for each in value)
    assert issubclass(origin, Mapping)
    return isinstance(value, dict) and all(
        fits(key, inner[0]) and fits(each, inner[1]) for key, each in value.items()
    )


_PLAIN: dict[Any, tuple[type, ...]] = {float: (float, int), None: (NoneType,)}
"""Types to those whose values JSON has for them."""


@cache
def _simple(kind: Any) -> frozenset[type] | None:
    """Return the types whose values fit ``kind``; None: values have an inside."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        found = [_simple(each) for each in get_args(kind)]
        known = [each for each in found if each is not None]
        return frozenset().union(*known) if len(known) == len(found) else None
    if kind is Any or origin is not None or is_dataclass(kind):
        return None
    return frozenset(_PLAIN.get(kind, (kind,)))


@cache
def _members(kind: Any) -> tuple[tuple[str, Any, frozenset[type]], ...]:
    """Return the fields of a dataclass: name, type, and the types that surely fit."""
    hints = get_type_hints(kind).items()
    return tuple((name, hint, _simple(hint) or frozenset()) for name, hint in hints)
