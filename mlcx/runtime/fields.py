"""Typed reading of JSON objects that other programs wrote.

Keys that nobody asks for are left alone: these formats grow, and older readers go on
reading them. A value of the wrong type is an error that names the file and the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from mlcx.errors import InputError, Problem

__all__ = ["Fields"]

_T = TypeVar("_T")

_NAMES: dict[type, str] = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "a list",
    str: "a string",
}


class Fields:
    """One JSON object of ``file``, at ``pointer`` (RFC 6901, empty for the whole).

    Every method returns the value at ``key``, or ``default`` when the key is absent or
    null; without a default that is an error, as is a value of another type.
    """

    def __init__(
        self, file: object, value: Mapping[str, Any], pointer: str = ""
    ) -> None:
        self.file = str(file)
        self._value = value
        self._pointer = pointer

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an integer; true and false are none."""
        return self._get(key, int, default)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        """Return true or false."""
        return self._get(key, bool, default)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string."""
        return self._get(key, str, default)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number, integer or not, as a float."""
        found = self._value.get(key)
        if type(found) is int:
            return float(found)
        return self._get(key, float, default)

    def integers(self, key: str, default: list[int] | None = None) -> list[int]:
        """Return a list of integers."""
        return self._list(key, int, default)

    def texts(self, key: str, default: list[str] | None = None) -> list[str]:
        """Return a list of strings."""
        return self._list(key, str, default)

    def object(self, key: str, default: dict[str, Any] | None = None) -> Fields:
        """Return an object, to be read in the same way."""
        found = self._get(key, dict, default)
        return Fields(self.file, found, f"{self._pointer}/{key}")

    def objects(self, key: str) -> list[Fields]:
        """Return a list of objects."""
        found = self._list(key, dict, None)
        place = f"{self._pointer}/{key}"
        return [Fields(self.file, one, f"{place}/{i}") for i, one in enumerate(found)]

    def values(self, key: str, default: list[Any] | None = None) -> list[Any]:
        """Return a list of anything, for the caller to look into."""
        return self._get(key, list, default)

    def mapping(self, key: str, default: dict[str, str]) -> dict[str, str]:
        """Return an object whose values are all strings, laid over ``default``."""
        inner = self.object(key, {})
        return default | {name: inner.text(name) for name in inner._value}

    def reject(self, key: str, message: str) -> NoReturn:
        """Raise an InputError about the value at ``key``."""
        pointer = f"{self._pointer}/{key}"
        raise InputError(Problem(self.file, 0, 0, f"{pointer}: {message}", pointer))

    def _list(self, key: str, kind: type[_T], default: list[_T] | None) -> list[_T]:
        found = self._get(key, list, default)
        for index, one in enumerate(found):
            if type(one) is not kind or _has_halves(one):
                self.reject(f"{key}/{index}", _expected(kind, one))
        return found

    def _get(self, key: str, kind: type[_T], default: _T | None) -> _T:
        found = self._value.get(key)
        if found is None and default is not None:
            return default
        if type(found) is not kind or _has_halves(found):
            self.reject(key, _expected(kind, found))
        return found


def _has_halves(found: object) -> bool:
    """Say whether it is text with halves of characters, which JSON may escape."""
    return isinstance(found, str) and any("\ud800" <= c <= "\udfff" for c in found)


def _expected(kind: type, found: object) -> str:
    what = "nothing" if found is None else repr(found)[:60]
    whole = " of whole characters" if type(found) is str is kind else ""
    return f"expected {_NAMES[kind]}{whole}, found {what}"
