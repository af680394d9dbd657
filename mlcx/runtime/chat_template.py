"""The chat template that comes with a checkpoint: Jinja, laid out as transformers does.

It is another program's text, so it runs in Jinja's sandbox and can change nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlcx.artifact import CHAT_TEMPLATES, read_json
from mlcx.errors import BuildError, InputError
from mlcx.runtime.chat import Message

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["ChatTemplate", "chat_template"]

_CONFIG = "tokenizer_config.json"
_DEFAULT = "default"
_EXTENSIONS = ("jinja2.ext.loopcontrols", "mlcx.runtime.generation_tag.GenerationTag")
"""As transformers has them."""
_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True)
class ChatTemplate:
    """What makes a prompt of messages, as the authors of a checkpoint mean it."""

    path: Path
    text: str
    tokens: Mapping[str, str]
    """Texts of the special tokens, such as ``bos_token``, that the template names."""

    def prompt(self, messages: Sequence[Message], system: str | None = None) -> str:
        """Return the text of ``messages`` up to where the next answer begins.

        Raises:
            BuildError: The template does not take such messages, or is faulty.
            InputError: It is none.
        """
        template = self._template
        head = [] if system is None else [Message("system", system)]
        listed = [
            {"role": each.role, "content": each.content} for each in (*head, *messages)
        ]
        try:
            return template.render(
                messages=listed, add_generation_prompt=True, **self.tokens
            )
        except MemoryError:
            raise
        # A template may do what it likes: divide by zero, add a text to a number.
        except Exception as error:
            raise BuildError(
                f"{self.path}: the chat template fails: {error}"
            ) from error

    @cached_property
    def _template(self) -> Template:
        from jinja2 import TemplateError  # noqa: PLC0415

        try:
            return _environment().from_string(self.text)
        except TemplateError as error:
            message = f"the chat template is no Jinja: {str(error).rstrip('.')}"
            raise InputError.in_file(self.path, message) from error


def chat_template(folder: Path) -> ChatTemplate | None:
    """Return the template that the checkpoint in ``folder`` has; None: it has none.

    ``chat_template.jinja`` counts before ``chat_template.json``, and that before
    ``tokenizer_config.json``, as in transformers. Of several the one named default.

    Raises:
        InputError: A file is malformed.
    """
    config = folder / _CONFIG
    fields = read_json(config) if config.is_file() else {}
    text, beside = (folder / name for name in CHAT_TEMPLATES)
    if text.is_file():
        path, found = text, _read(text)
    elif beside.is_file():
        path, found = beside, _chosen(beside, read_json(beside).get("chat_template"))
    else:
        path, found = config, _chosen(config, fields.get("chat_template"))
    return ChatTemplate(path, found, _tokens(fields)) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.in_file(path, f"cannot be read: {error}") from error


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
        trim_blocks=True, lstrip_blocks=True, extensions=_EXTENSIONS
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime(form)
