"""What a runtime reads of mlc-chat-config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlcx import artifact
from mlcx.errors import InputError, UsageError
from mlcx.runtime.chat import Conversation, conversation
from mlcx.runtime.fields import Fields
from mlcx.runtime.sampler import Sampling

__all__ = ["ChatConfig", "read"]


@dataclass(frozen=True)
class ChatConfig:
    """A model's limits, in tokens, and its defaults for generating."""

    sizes: Mapping[str, int]
    """The integers at the top level, by which parameter shapes name sizes."""
    vocab_size: int
    active_vocab_size: int
    """Ids from here on have no token; they are never generated."""
    context_window_size: int
    sampling: Sampling
    conversation: Conversation


def read(directory: Path) -> ChatConfig:
    """Return the chat config of the model in ``directory``.

    Raises:
        InputError: It is missing, is not JSON, or lacks what generating needs.
    """
    file = directory / artifact.CHAT_CONFIG
    value = artifact.read_json(file)
    fields = Fields(file, value)
    vocabulary = fields.integer("vocab_size")
    active = fields.integer("active_vocab_size", 0)
    template = conversation(fields.object("conv_template"))
    try:
        sampling = _sampling(fields, template)
    except UsageError as error:
        raise InputError.in_file(file, str(error)) from error
    return ChatConfig(
        sizes={key: number for key, number in value.items() if type(number) is int},
        vocab_size=vocabulary,
        active_vocab_size=artifact.active_ids(active, vocabulary) or vocabulary,
        context_window_size=fields.integer("context_window_size", -1),
        sampling=sampling,
        conversation=template,
    )


def _sampling(fields: Fields, template: Conversation) -> Sampling:
    """Return the defaults of the format for what the file leaves out."""
    return Sampling(
        temperature=fields.number("temperature", 1.0),
        top_p=fields.number("top_p", 1.0),
        presence_penalty=fields.number("presence_penalty", 0.0),
        frequency_penalty=fields.number("frequency_penalty", 0.0),
        repetition_penalty=fields.number("repetition_penalty", 1.0),
        stop_tokens=frozenset(template.stop_token_ids),
    )
