"""From a conversation to the text of a prompt, by a template of MLC's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlcx.runtime.fields import Fields

__all__ = ["Conversation", "Message", "conversation"]

_ROLES = ("user", "assistant", "tool")
_FUNCTIONS = "{function_string}"
_THOUGHT = "</think>"


@dataclass(frozen=True)
class Message:
    """What ``role`` said; ``content`` None stands for the answer still to come."""

    role: str
    content: str | None


@dataclass(frozen=True)
class Conversation:
    """A conversation template: how turns become one text, and what ends an answer."""

    system_template: str
    system_message: str
    system_prefix_token_ids: tuple[int, ...]
    """Ids that go before those of the encoded prompt."""
    add_role_after_system_message: bool
    roles: dict[str, str]
    role_templates: dict[str, str]
    history: tuple[Message, ...]
    """Turns that every conversation starts with."""
    seps: tuple[str, ...]
    role_content_sep: str
    role_empty_sep: str
    stop_str: tuple[str, ...]
    stop_token_ids: tuple[int, ...]
    strip_reasoning_in_history: bool = False
    """Whether answers before the last question lose what they thought."""

    def prompt(self, messages: Sequence[Message], system: str | None = None) -> str:
        """Return the text of the system message, the history and ``messages``.

        Args:
            messages: The turns, each of a role that the template has.
            system: The system message; None for the template's own.
        """
        said = self.system_message if system is None else system
        template = self.system_template.replace(_FUNCTIONS, "")
        head = template.replace("{system_message}", said)
        spoken = (*self.history, *messages)
        if self.strip_reasoning_in_history:
            spoken = _without_reasoning(spoken)
        turns = [self._turn(message) for message in spoken]
        if head and not self.add_role_after_system_message and turns:
            turns[0] = self._without_role(spoken[0])
        return head + "".join(turns)

    def _turn(self, message: Message) -> str:
        role = self.roles[message.role]
        if message.content is None:
            return role + self.role_empty_sep
        return role + self.role_content_sep + self._without_role(message)

    def _without_role(self, message: Message) -> str:
        if message.content is None:
            return self.role_empty_sep
        template = self.role_templates[message.role].replace(_FUNCTIONS, "")
        said = template.replace(f"{{{message.role}_message}}", message.content)
        return said + self.seps[-1 if message.role == "assistant" else 0]


def _without_reasoning(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return answers up to the last question without what precedes ``</think>``."""
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    past = users[-1] if users else 0
    return tuple(map(_answer, messages[:past])) + messages[past:]


def _answer(message: Message) -> Message:
    if message.role != "assistant" or _THOUGHT not in (message.content or ""):
        return message
    answer = (message.content or "").rpartition(_THOUGHT)[2]
    return Message(message.role, answer.lstrip("\n"))


def conversation(fields: Fields) -> Conversation:
    """Return the template in ``fields``, the ``conv_template`` of a chat config.

    Raises:
        InputError: A key that the format requires is missing or of a wrong type.
    """
    seps = fields.texts("seps")
    if len(seps) not in (1, 2):
        fields.reject("seps", f"expected one or two separators, found {len(seps)}")
    for role in ("user", "assistant"):
        fields.object("roles").text(role)
    roles = fields.mapping("roles", {})
    templates = {role: f"{{{role}_message}}" for role in _ROLES}
    return Conversation(
        system_template=fields.text("system_template", "{system_message}"),
        system_message=fields.text("system_message", ""),
        system_prefix_token_ids=tuple(fields.integers("system_prefix_token_ids", [])),
        add_role_after_system_message=fields.boolean(
            "add_role_after_system_message", True
        ),
        roles=roles,
        role_templates=fields.mapping("role_templates", templates),
        history=_history(fields, roles),
        seps=tuple(seps),
        role_content_sep=fields.text("role_content_sep", ""),
        role_empty_sep=fields.text("role_empty_sep", ""),
        stop_str=tuple(filter(None, fields.texts("stop_str", []))),
        stop_token_ids=tuple(fields.integers("stop_token_ids", [])),
        strip_reasoning_in_history=fields.boolean("strip_reasoning_in_history", False),
    )


def _history(fields: Fields, named: Mapping[str, str]) -> tuple[Message, ...]:
    history, roles = [], [role for role in _ROLES if role in named]
    for index, turn in enumerate(fields.values("messages", [])):
        if not (isinstance(turn, list) and [type(part) for part in turn] == [str, str]):
            fields.reject(f"messages/{index}", "expected a list of a role and a text")
        if turn[0] not in roles:
            known = ", ".join(roles)
            fields.reject(f"messages/{index}/0", f"expected one of {known}")
        history.append(Message(*turn))
    return tuple(history)
