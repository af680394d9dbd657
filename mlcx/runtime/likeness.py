"""Which conversation templates lay out turns as a checkpoint's own chat template does.

Found by what comes out of both for the same short conversations. What stands before the
first question (a system message, a date) is a template's to choose; what stands around
and between the turns is not, or the model reads what it was never trained on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mlcx.errors import BuildError
from mlcx.runtime.chat import Conversation, Message
from mlcx.runtime.chat_template import ChatTemplate

__all__ = ["Likeness", "alike"]

_FIRST = "What is rain?"
_TURNS = (
    Message("user", _FIRST),
    Message("assistant", "It is water."),
    Message("user", "And snow?"),
)
_THOUGHT = (
    _TURNS[0],
    Message("assistant", "<think>\nWet.\n</think>\n\nIt is water."),
    _TURNS[2],
)
_SYSTEM = "Answer in one line."


@dataclass(frozen=True)
class Likeness:
    """A template that lays out turns as the chat template does."""

    name: str
    exact: bool
    """To the character; otherwise but for white space and the token of an end."""


def alike(
    own: ChatTemplate,
    templates: Mapping[str, Conversation],
    ends: Collection[int],
) -> list[Likeness]:
    """Return the templates that lay out turns as ``own`` does, the most alike first.

    Args:
        own: The checkpoint's chat template.
        templates: Conversation templates by name.
        ends: The ids that end an answer, which tell templates apart that lay out the
            same, such as those of two generations of one family.
    """
    turns = _turns(_said(own, _TURNS))
    if turns is None:
        return []
    end = own.tokens.get("eos_token", "")
    ranked = []
    for name, template in templates.items():
        mine = _turns(_prompt(template, _TURNS))
        if mine is None or _bare(mine, end) != _bare(turns, end):
            continue
        order = (
            mine != turns,
            _turns(_prompt(template, _THOUGHT)) != _turns(_said(own, _THOUGHT)),
            _greeting_differs(own, template),
            len({*template.stop_token_ids} ^ {*ends}),
            name,
        )
        ranked.append((order, Likeness(name, mine == turns)))
    return [likeness for _, likeness in sorted(ranked, key=lambda each: each[0])]


def _said(own: ChatTemplate, turns: tuple[Message, ...]) -> str:
    try:
        return own.prompt(turns)
    except BuildError:
        return ""


def _prompt(template: Conversation, turns: tuple[Message, ...]) -> str:
    return template.prompt((*turns, Message("assistant", None)))


def _turns(text: str) -> str | None:
    """Return ``text`` from the first question on; None: it is not in it."""
    _, question, rest = text.partition(_FIRST)
    return rest if question else None


def _bare(text: str, end: str) -> str:
    return re.sub(r"\s", "", text.replace(end, "") if end else text)


def _greeting_differs(own: ChatTemplate, template: Conversation) -> int:
    """Say how a system message, or its lack, is laid out: 0 alike, 1 nearly, 2 not."""
    try:
        theirs = own.prompt(_TURNS[:1], _SYSTEM)
    except BuildError:
        theirs = _said(own, _TURNS[:1])
    theirs = theirs.removeprefix(own.tokens.get("bos_token", ""))
    ours = template.prompt((_TURNS[0], Message("assistant", None)), _SYSTEM)
    if ours == theirs:
        return 0
    return 1 if _bare(ours, "") == _bare(theirs, "") else 2
