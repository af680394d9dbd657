"""What is wrong with a text that is not JSON, in words that say what to change."""

from __future__ import annotations

from json import JSONDecodeError

__all__ = ["explain"]

_WORDS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "undefined": "null",
}


def explain(text: str, error: JSONDecodeError) -> str:
    """Say what was expected at ``error``'s position of ``text`` and what to do."""
    return (
        _in_a_string(error.msg, text[error.pos : error.pos + 1])
        or _at_the_end(text, error.pos)
        or _odd_token(text, error.pos)
        or _between_values(text, error)
    )


def _in_a_string(reason: str, found: str) -> str:
    if reason.startswith("Unterminated string"):
        return "this text has no closing double quote"
    if reason.startswith("Invalid control character"):
        if found in "\r\n":
            return "the line ends inside a text: a double quote is missing, or a \\n"
        return "a control character inside a text: write \\t for a tab"
    if reason.startswith("Invalid \\"):
        return "a backslash inside a text: write \\\\ for the character itself"
    return ""


def _at_the_end(text: str, position: int) -> str:
    if text[position:].strip():
        return ""
    return "the file ends too early: a }, a ] or a value is missing"


def _odd_token(text: str, position: int) -> str:
    rest = text[position:]
    before = text[:position].rstrip()
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments: remove this one"
    if rest.startswith("'"):
        return "JSON needs double quotes, found a single one"
    # Newer Pythons point at the comma, older ones at the bracket behind it.
    behind = rest[1:].lstrip()[:1] if rest.startswith(",") else rest[0]
    if behind in "}]" and (rest.startswith(",") or before.endswith(",")):
        return f"a comma before the closing {behind}: remove it"
    for word, right in _WORDS.items():
        if rest.startswith(word):
            return f"JSON writes {right}, found {word}"
    return ""


def _between_values(text: str, error: JSONDecodeError) -> str:
    found = text[error.pos]
    if error.msg.startswith("Extra data"):
        return f"expected the end of the file, found {found}: one file, one object"
    if error.msg.startswith("Expecting ',' delimiter"):
        return f"expected a comma or the closing bracket, found {found}"
    if error.msg.startswith("Expecting ':' delimiter"):
        return f"expected a colon after the key, found {found}"
    if error.msg.startswith("Expecting property name"):
        return f"expected a key in double quotes, found {found}"
    return f"expected a value, found {found}"
