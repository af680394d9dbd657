"""A spec as a person wrote it: its text, its value, and where each value stands."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from mlcx.errors import InputError, Problem
from mlcx.spec.syntax import explain

__all__ = ["Source", "Steps", "describe", "pointer", "quote", "read"]

Steps = tuple[str | int, ...]
"""The keys and indices that lead from the root to a value."""


_LARGEST = 64 << 20
"""Bytes of a spec; one with a hundred thousand models has fewer."""

_DEEPEST = 64
_TOO_DEEP = f"lists and objects are nested more than {_DEEPEST} deep"
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]')
"""Texts too, so that the brackets in them do not count."""
_MANY_DIGITS = re.compile(rf"\d{{{sys.int_info.default_max_str_digits + 1},}}")
_HALF = "holds half of a UTF-16 surrogate pair: write the character itself"


@dataclass(frozen=True)
class Source:
    """A JSON object in a file."""

    file: str
    """The file's name as it was given."""
    text: str
    value: dict[str, Any]

    def problem(self, steps: Steps, message: str, at_key: bool = False) -> Problem:
        """Say what is wrong with the value at ``steps``, or with its key."""
        entry = self._entry(steps)
        place = entry.key_start if at_key and entry.key_start else entry.value_start
        line, column = place.line + 1, place.column + 1
        return Problem(self.file, line, column, message, pointer(steps))

    def line(self, steps: Steps) -> int:
        """Return the line, from 1, on which the value at ``steps`` begins."""
        return int(self._entry(steps).value_start.line) + 1

    def _entry(self, steps: Steps) -> Any:
        for length in range(len(steps), 0, -1):
            entry = self._places.get(_raw_pointer(steps[:length]))
            if entry is not None:
                return entry
        return self._places[""]

    @cached_property
    def _places(self) -> Mapping[str, Any]:
        # Loaded late: a spec without a fault never asks for a position.
        import json_source_map  # noqa: PLC0415

        places: Mapping[str, Any] = json_source_map.calculate(self.text)
        return places


def pointer(steps: Steps) -> str:
    """Return ``steps`` as a JSON pointer (RFC 6901)."""
    parts = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join(f"/{part}" for part in parts)


def _raw_pointer(steps: Steps) -> str:
    """Return ``steps`` as json_source_map writes it: keys as in the text, unescaped."""
    keys = (json.dumps(str(step), ensure_ascii=False)[1:-1] for step in steps)
    return "".join(f"/{key}" for key in keys)


def quote(value: object) -> str:
    """Return ``value`` as a person would write it in JSON, all of it printable."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else json.dumps(char)[1:-1] for char in text
    )


def describe(value: object) -> str:
    """Name a JSON value in a message: ``"yes"``, ``3``, ``an empty list``."""
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, str) and len(value) > 60:
        return quote(value[:57] + "...")
    return quote(value)


def read(path: str | Path) -> Source:
    """Read the JSON object in ``path``.

    Raises:
        InputError: The file cannot be read, is not UTF-8, is not JSON, gives a key
            twice, or holds no object; with the line and column where there is one.
    """
    file = str(path)
    text = _decode(file, _bytes(path))
    value = _parse(file, text)
    if not isinstance(value, dict):
        found = describe(value)
        raise InputError(
            Problem(file, 1, 1, f"expected an object {{…}} as the root, found {found}")
        )
    if _is_deeper(value, _DEEPEST):
        raise _too_deep(file, text)
    source = Source(file, text, value)
    flaws = [source.problem(*flaw) for flaw in _flaws(value, ())]
    if flaws:
        raise InputError(sorted(flaws))
    return source


def _bytes(path: str | Path) -> bytes:
    try:
        found = Path(path).stat()
        # Reading a pipe or a device might never end.
        if not (S_ISREG(found.st_mode) or S_ISDIR(found.st_mode)):
            message = "expected a JSON file, found a pipe or a device"
            raise InputError.in_file(path, message)
        if found.st_size > _LARGEST:
            message = f"expected at most {_LARGEST} bytes, found {found.st_size}"
            raise InputError.in_file(path, message)
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError.in_file(path, "there is no such file") from error
    except IsADirectoryError as error:
        message = "expected a JSON file, found a folder"
        raise InputError.in_file(path, message) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError.in_file(path, f"cannot be read: {reason}") from error


def _decode(file: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "expected UTF-8 text, found UTF-16: save the file as UTF-8"
        raise InputError(Problem(file, 1, 1, message))
    if data.startswith(b"\xef\xbb\xbf"):
        message = "found a byte order mark: save the file as UTF-8 without one"
        raise InputError(Problem(file, 1, 1, message))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"expected UTF-8 text, found the byte 0x{data[error.start]:02x}"
        raise InputError(Problem(file, line, column, message)) from error
    if not text.strip():
        message = "the file is empty: expected a JSON object"
        raise InputError(Problem(file, 1, 1, message))
    return text


def _parse(file: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_NotJson)
    except json.JSONDecodeError as error:
        problem = Problem(file, error.lineno, error.colno, explain(text, error))
        raise InputError(problem) from error
    except RecursionError as error:
        raise _too_deep(file, text) from error
    except ValueError as error:  # Python's limit on the digits that it converts
        message = "the number has too many digits"
        found = _MANY_DIGITS.search(text)
        raise _at(file, text, found.start() if found else 0, message) from error


def _too_deep(file: str, text: str) -> InputError:
    """Point at the bracket that opens one level too many."""
    level = position = 0
    for found in _BRACKETS.finditer(text):
        position = found.start()
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if level > _DEEPEST:
            break
    return _at(file, text, position, _TOO_DEEP)


def _at(file: str, text: str, position: int, message: str) -> InputError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return InputError(Problem(file, line, column, message))


class _NotJson(str):
    """A word such as NaN that Python's reader takes and JSON does not know."""

    __slots__ = ()


class _Repeating(dict[str, Any]):
    """An object that gives a key more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.repeated = [key for key in self if keys.count(key) > 1]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else _Repeating(pairs)


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _flaws(value: Any, steps: Steps) -> Iterator[tuple[Steps, str, bool]]:
    """Find what Python's reader lets through though no spec may hold it.

    Yields the steps to it, what is wrong, and whether with the key.
    """
    if isinstance(value, _NotJson):
        yield steps, f"expected a JSON value, found {value}", False
    elif isinstance(value, float) and math.isinf(value):
        yield steps, "the number is too large", False
    elif isinstance(value, str) and not _is_text(value):
        yield steps, f"the text {_HALF}", False
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _flaws(each, (*steps, index))
    elif isinstance(value, dict):
        yield from _flaws_of_keys(value, steps)
        for key, each in value.items():
            yield from _flaws(each, (*steps, key))


def _flaws_of_keys(
    value: dict[str, Any], steps: Steps
) -> Iterator[tuple[Steps, str, bool]]:
    for key in value.repeated if isinstance(value, _Repeating) else ():
        message = f"the key {quote(key)} is given more than once: keep one of them"
        yield (*steps, key), message, True
    if not all(map(_is_text, value)):
        yield steps, f"a key {_HALF}", False


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
