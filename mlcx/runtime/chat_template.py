"""The chat template that comes with a checkpoint: Jinja, laid out as transformers does.

It is another program's text, so it runs in Jinja's sandbox and can change nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlcx.artifact import read_json
from mlcx.errors import BuildError, InputError
from mlcx.runtime.chat import Message

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["ChatTemplate", "chat_template", "template_text"]

_CONFIG = "tokenizer_config.json"
_DEFAULT = "default"
_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True)
class ChatTemplate:
    """What makes a prompt of messages, as the authors of a checkpoint mean it."""

    path: Path
    template: Template
    tokens: Mapping[str, str]
    """Texts of the special tokens, such as ``bos_token``, that the template names."""

    def prompt(self, messages: Sequence[Message], system: str | None = None) -> str:
        """Return the text of ``messages`` up to where the next answer begins.

        Raises:
            BuildError: The template does not take such messages, or is faulty.
        """
        head = [] if system is None else [Message("system", system)]
        listed = [
            {"role": each.role, "content": each.content} for each in (*head, *messages)
        ]
        try:
            return self.template.render(
                messages=listed, add_generation_prompt=True, **self.tokens
            )
        except MemoryError:
            raise
        # A template may do what it likes: divide by zero, add a text to a number.
        except Exception as error:
            raise BuildError(
                f"{self.path}: the chat template fails: {error}"
            ) from error


def chat_template(folder: Path) -> ChatTemplate | None:
    """Return the template that the checkpoint in ``folder`` has; None: it has none.

    ``chat_template.jinja`` counts before ``chat_template.json``, and that before
    ``tokenizer_config.json``, as in transformers. Of several the one named default.

    Raises:
        InputError: A file is malformed, or is no template.
    """
    path, text = template_text(folder)
    if not text:
        return None
    from jinja2 import TemplateError  # noqa: PLC0415

    try:
        template = _environment().from_string(text)
    except TemplateError as error:
        message = f"the chat template is no Jinja: {error}"
        raise InputError.in_file(path, message) from error
    return ChatTemplate(path, template, _tokens(_fields(folder / _CONFIG)))


def template_text(folder: Path) -> tuple[Path, str]:
    """Return the text of the template that ``chat_template`` takes, and its file.

    The text is empty when the checkpoint has none.

    Raises:
        InputError: A file is malformed.
    """
    path = folder / "chat_template.jinja"
    if path.is_file():
        try:
            return path, path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError.in_file(path, f"cannot be read: {error}") from error
    path = folder / "chat_template.json"
    if path.is_file():
        return path, _chosen(path, read_json(path).get("chat_template"))
    path = folder / _CONFIG
    return path, _chosen(path, _fields(path).get("chat_template"))


def _fields(config: Path) -> dict[str, Any]:
    return read_json(config) if config.is_file() else {}


def _chosen(path: Path, found: object) -> str:
    """Return the text of a template, of several the default; empty: there is none."""
    if found is None or isinstance(found, str):
        return found or ""
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        named = {each.get("name"): each.get("template") for each in found}
        return _chosen(path, named.get(_DEFAULT))
    expected = "expected a text, or a list of templates with names"
    raise InputError.in_file(path, f"/chat_template: {expected}")


def _tokens(fields: Mapping[str, Any]) -> dict[str, str]:
    tokens = {}
    for name in _TOKENS:
        found = fields.get(name)
        text = found.get("content") if isinstance(found, dict) else found
        if isinstance(text, str):
            tokens[name] = text
    return tokens


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime(form)
