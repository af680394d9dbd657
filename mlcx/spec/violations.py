"""What a schema's rejection of a value means, in a person's words.

Knows jsonschema's errors by their attributes only, and nothing of any single schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlcx.spec.source import Source, Steps, describe, quote

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

    from mlcx.errors import Problem

__all__ = ["Violation", "did_you_mean"]

_TYPES = {
    "object": "an object {…}",
    "array": "a list […]",
    "string": "a text in double quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True)
class Violation:
    """One thing that a schema forbids."""

    steps: Steps
    message: str
    at_key: bool = False
    """The key at ``steps`` is meant, not its value."""

    @classmethod
    def all_of(cls, error: ValidationError) -> Iterator[Violation]:
        """Say what ``error`` means: one thing, or one for each key that it is about.

        jsonschema repeats itself for each missing key; then so does this.
        """
        refusal = _Refusal.of(error)
        if refusal.keyword == "additionalProperties":
            yield from _unknown_keys(refusal)
        elif refusal.keyword == "required":
            yield from _missing_keys(refusal)
        elif refusal.is_about_key:
            yield cls((*refusal.steps, refusal.found), _wrong(refusal), at_key=True)
        else:
            yield cls(refusal.steps, _wrong(refusal))

    def problem(self, source: Source) -> Problem:
        """Place this in the text of ``source``."""
        return source.problem(self.steps, self.message, self.at_key)


@dataclass(frozen=True)
class _Refusal:
    """A ``ValidationError`` without what jsonschema leaves open in its types."""

    steps: Steps
    keyword: str
    wanted: Any
    """The keyword's value."""
    schema: dict[str, Any]
    """The subschema with the keyword in it."""
    found: Any
    is_about_key: bool
    message: str

    @classmethod
    def of(cls, error: Any) -> _Refusal:
        return cls(
            steps=tuple(error.absolute_path),
            keyword=error.validator,
            wanted=error.validator_value,
            schema=error.schema,
            found=error.instance,
            is_about_key="propertyNames" in error.absolute_schema_path,
            message=error.message,
        )

    @property
    def title(self) -> str:
        title: str = self.schema["title"]
        return title

    @property
    def subject(self) -> str:
        """What the value is for: its key, or its list's and the index, and a colon."""
        if not self.steps or self.is_about_key:
            return ""
        *_, last = self.steps
        return f"{last}: " if isinstance(last, str) else f"{self.steps[-2]}[{last}]: "

    @property
    def known_keys(self) -> list[str]:
        return list(self.schema["properties"])

    @property
    def unknown_keys(self) -> list[str]:
        return [key for key in self.found if key not in self.schema["properties"]]


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``: did you mean "x"?`` for the nearest of ``known``, else nothing."""
    folded = {_fold(each): each for each in known}
    nearest = difflib.get_close_matches(_fold(word), folded, 1)
    return f": did you mean {quote(folded[nearest[0]])}?" if nearest else ""


def _fold(word: object) -> str:
    return str(word).lower().replace("-", "_")


def _unknown_keys(refusal: _Refusal) -> Iterator[Violation]:
    free = [key for key in refusal.known_keys if key not in refusal.found]
    for key in refusal.unknown_keys:
        listed = ", ".join(map(quote, refusal.known_keys))
        hint = did_you_mean(key, free) or f": expected one of {listed}"
        message = f"{refusal.title}: unknown key {quote(key)}{hint}"
        yield Violation((*refusal.steps, key), message, at_key=True)


def _missing_keys(refusal: _Refusal) -> Iterator[Violation]:
    for key in refusal.wanted:
        # A misspelt key is reported as such; that it is missing is the same mistake.
        misspelt = any(did_you_mean(each, [key]) for each in refusal.unknown_keys)
        if key not in refusal.found and not misspelt:
            message = f"{refusal.title}: {quote(key)} is missing: add it"
            yield Violation(refusal.steps, message)


def _wrong(refusal: _Refusal) -> str:
    wording = _WORDINGS.get(refusal.keyword)
    expected = wording(refusal) if wording else refusal.message
    hint = ""
    if refusal.keyword == "enum" and len(refusal.wanted) > 1:
        hint = did_you_mean(refusal.found, refusal.wanted)
    found = describe(refusal.found)
    return f"{refusal.subject}expected {expected}, found {found}{hint}"


def _of_type(refusal: _Refusal) -> str:
    wanted = refusal.wanted
    names = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(_TYPES[name] for name in names)


def _of_enum(refusal: _Refusal) -> str:
    listed = ", ".join(map(quote, refusal.wanted))
    return f"one of {listed}" if len(refusal.wanted) > 1 else listed


def _in_own_words(refusal: _Refusal) -> str:
    """Use the message that the schema itself gives, which editors show too."""
    schema = refusal.schema
    message: str = schema.get("patternErrorMessage") or schema["errorMessage"]
    return message.removeprefix("expected ")


def _of_minimum(refusal: _Refusal) -> str:
    if "errorMessage" in refusal.schema:
        return _in_own_words(refusal)
    return f"at least {quote(refusal.wanted)}"


_WORDINGS: dict[str, Callable[[_Refusal], str]] = {
    "type": _of_type,
    "enum": _of_enum,
    "pattern": _in_own_words,
    "not": _in_own_words,
    "minimum": _of_minimum,
    "maximum": lambda refusal: f"at most {quote(refusal.wanted)}",
    "minProperties": lambda refusal: "an object that is not empty",
    "minLength": lambda refusal: "a text that is not empty",
    "maxLength": lambda refusal: f"a text of at most {refusal.wanted} characters",
}
"""Keyword of a schema to what it expected."""
