"""What changed between two sets of inputs, as data and as lines that people read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

__all__ = [
    "OPEN",
    "Change",
    "How",
    "Kind",
    "between",
    "of_texts",
    "shown",
    "summary",
]

Kind = Literal[
    "new",
    "unknown",
    "record",
    "missing",
    "damaged",
    "policy",
    "option",
    "moved",
    "source",
    "fact",
]

OPEN: frozenset[Kind] = frozenset({"unknown", "record", "moved"})
"""Those for which SCons may find that there is nothing to do."""

How = Literal["changed", "added", "removed", "turned"]
"""The last is of parts that stand in another order, and are as they were."""

_MANY = 8
"""Words of a text that is a list of them, such as what a CPU can do."""

_LONGEST = 48
"""Characters of a value in a line."""

_ID = "model_id"
"""What tells the models of a list apart, wherever in it they stand."""


@dataclass(frozen=True)
class Change:
    """One thing for which a step runs again."""

    kind: Kind
    name: str
    """The file, the option or the fact; of a policy its value."""
    field: str = ""
    """What within it; empty: all of it."""
    old: str | None = None
    """None: there was none, or it cannot be shown. Of what is new: in whose place."""
    new: str | None = None
    how: How = "changed"
    origin: str = ""
    """Where the new value stands in a spec."""
    because: tuple[Change, ...] = ()
    """Of a file that a step made: what had changed for that step."""

    def __str__(self) -> str:
        """Return this in full, without what it is because of."""
        whole = {
            "new": f"it is made in place of {self.old}"
            if self.old
            else "no earlier build of it is known",
            "unknown": "there is no record of what it was made from",
            "record": f"its record {self.name} is damaged: the next build goes by "
            "SCons' signatures, and writes it anew",
            "missing": f"{self.name} is missing",
            "damaged": self.name,
            "policy": self.name,
        }
        if self.kind in whole:
            return whole[self.kind]
        name = f"option --{self.name}" if self.kind == "option" else self.name
        origin = f", from {self.origin}" if self.origin else ""
        return f"{name}: {self._difference}{origin}"

    @property
    def short(self) -> str:
        """Return this as part of a line."""
        if self.because and self.kind in {"moved", "new"}:
            return summary(self.because)
        file = PurePath(self.name).name
        words = {
            "new": "new",
            "unknown": "of unknown origin",
            "record": "its record is damaged",
            "missing": f"{file} is missing",
        }
        if self.kind in words:
            return words[self.kind]
        if self.kind in {"damaged", "policy"} or self.field:
            return self._difference if self.field else self.name
        return f"{file} {self._words}"

    @property
    def _difference(self) -> str:
        return f"{self.field} {self._words}".lstrip()

    @property
    def _words(self) -> str:
        if self.kind == "source" and not self.field and self.how != "changed":
            return "is now read" if self.how == "added" else "is no longer read"
        if self.how == "turned":
            return "in another order"
        if self.how == "added":
            return f"added, {self.new}" if self.new else "added"
        if self.how == "removed":
            return f"removed, was {self.old}" if self.old else "removed"
        if self.old is None and self.new is None:
            return "changed"
        return f"{self.old} → {self.new}"


def summary(changes: Sequence[Change], most: int = 3) -> str:
    """Return ``changes`` in one line, the first ``most`` of them in words."""
    words = list(dict.fromkeys(change.short for change in changes))
    rest = len(words) - most
    return "; ".join([*words[:most], *([f"and {rest} more"] if rest > 0 else [])])


def shown(value: object) -> str:
    """Return a JSON value as a line shows it: short, a text without its quotes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _whole(value: object) -> str | None:
    """Return ``value`` as a line shows it; None: of an object, that would be a part."""
    text = shown(value)
    return None if isinstance(value, dict) and text.endswith("…") else text


def _by_id(value: object) -> dict[str, Any]:
    """Return a list of models by what tells them apart; empty: it is none."""
    if not isinstance(value, list) or not all(isinstance(e, dict) for e in value):
        return {}
    named = {str(each.get(_ID)): each for each in value if _ID in each}
    return named if len(named) == len(value) else {}


def between(
    kind: Kind,
    name: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    within: str = "",
) -> Iterator[Change]:
    """Yield a change for each value that differs, those of objects one by one."""
    for key in sorted(old.keys() | new.keys()):
        field = f"{within}{key}"
        if key not in old:
            yield Change(kind, name, field, None, _whole(new[key]), "added")
        elif key not in new:
            yield Change(kind, name, field, _whole(old[key]), None, "removed")
        else:
            yield from _of_values(kind, name, old[key], new[key], field)


def _of_values(
    kind: Kind, name: str, old: object, new: object, field: str
) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from between(kind, name, old, new, f"{field}.")
    elif (before := _by_id(old)) and (now := _by_id(new)) and before != now:
        yield from between(kind, name, before, now, f"{field}.")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _of_values(kind, name, *pair, f"{field}[{index}]")
    elif old != new or type(old) is not type(new):
        yield Change(kind, name, field, shown(old), shown(new))


def of_texts(kind: Kind, name: str, old: str | None, new: str | None) -> list[Change]:
    """Return how a text changed, in parts where it has some; None: there was none.

    Parts have the objects of JSON, lists such as ``key=value;key=value``, and those of
    many words, of which the words that came and went are named.
    """
    if old is None or new is None:
        given = _pairs(old or new or "")
        if given is not None:
            ends = ({}, given) if old is None else (given, {})
            return list(between(kind, name, *ends))
        how: How = "added" if old is None else "removed"
        was, is_now = (None if text is None else shown(text) for text in (old, new))
        return [Change(kind, name, "", was, is_now, how)]
    if old == new:
        return []
    before, after = _fields(old), _fields(new)
    if before is not None and after is not None:
        parts = list(between(kind, name, before, after))
        return parts or list(_order(kind, name, before, after)) or [Change(kind, name)]
    return [Change(kind, name, "", shown(old), shown(new))]


def _order(
    kind: Kind,
    name: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    field: str = "",
) -> Iterator[Change]:
    """Yield a change for each object whose keys, else equal, stand in another order.

    In that of a recipe's patterns it decides which of them counts.
    """
    if list(old) != list(new):
        yield Change(kind, name, field, how="turned")
    for key in old:
        within = f"{field}.{key}".lstrip(".")
        if isinstance(old[key], dict):
            yield from _order(kind, name, old[key], new[key], within)


def _fields(text: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):  # several objects
        if text.startswith("{"):
            value: dict[str, Any] = json.loads(text)
            return value
    words = text.split()
    return _pairs(text) or (dict.fromkeys(words, "") if len(words) >= _MANY else None)


def _pairs(text: str) -> dict[str, Any] | None:
    pairs = [pair.partition("=") for pair in text.split(";")]
    if not all(middle for _, middle, _ in pairs):
        return None
    return {name: value for name, _, value in pairs}
