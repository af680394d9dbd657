"""Text in, text out: a model with its tokenizer, template and engine."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from mlcx.runtime.answer import StopStrings, text_of
from mlcx.runtime.chat import Message
from mlcx.runtime.config import ChatConfig
from mlcx.runtime.engine import Engine
from mlcx.runtime.request import FinishReason
from mlcx.runtime.sampler import Sampling
from mlcx.runtime.tokenizer import Tokenizer

__all__ = ["Completion", "Prompter"]


class Prompter:
    """Makes prompts of texts, and knows what ends an answer to them.

    Args:
        config: Has the template.
        tokenizer: Of the same model.
    """

    def __init__(self, config: ChatConfig, tokenizer: Tokenizer) -> None:
        self._template = config.conversation
        self._tokenizer = tokenizer

    def chat(self, said: str, system: str | None = None) -> list[int]:
        """Return the ids of a conversation in which a user said ``said``.

        Args:
            said: The user's message.
            system: The system message; None for the template's own.
        """
        turns = [Message("user", said), Message("assistant", None)]
        text = self._template.prompt(turns, system)
        prefix = self._template.system_prefix_token_ids
        return [*prefix, *self._tokenizer.encode(text)]

    def plain(self, text: str) -> list[int]:
        """Return the ids of ``text`` itself, with what the tokenizer puts around it."""
        return self._tokenizer.encode(text, special=True)

    def stopping(self, sampling: Sampling) -> Sampling:
        """Return ``sampling`` with the stop strings that are tokens as stop tokens.

        Special tokens never appear in the text, so only there can they be seen.
        """
        found = map(self._tokenizer.token_id, self._template.stop_str)
        tokens = frozenset(token for token in found if token is not None)
        return replace(sampling, stop_tokens=sampling.stop_tokens | tokens)


class Completion:
    """An answer that is being generated; iterate over it once for its parts of text.

    One that is forgotten is cancelled.

    Args:
        engine: Gets the request at once.
        tokenizer: Turns tokens into text.
        prompt: At least one id.
        sampling: How to choose tokens.
        stops: Strings that end the text; they are no part of it.

    Raises:
        UsageError: The engine does not take such a prompt.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        sampling: Sampling,
        stops: Sequence[str] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._stops = StopStrings(stops)
        self._started = time.perf_counter()
        self._times: list[float] = []
        self._request = engine.submit(prompt, sampling)
        self._following = engine.follow(self._request)

    def cancel(self) -> None:
        """End it before its time, and leave its room to others."""
        self._following.close()

    def __iter__(self) -> Iterator[str]:
        """Yield parts of the text.

        Raises:
            MlcxError: The model failed, after the last part.
        """
        detokenizer = self._tokenizer.detokenizer()
        with closing(self._tokens()) as tokens:
            yield from text_of(tokens, detokenizer, self._stops)

    def _tokens(self) -> Generator[int, None, None]:
        with closing(self._following) as tokens:
            for token in tokens:
                self._times.append(time.perf_counter())
                yield token

    @property
    def tokens(self) -> list[int]:
        """Return the ids generated so far, without the stop token."""
        return list(self._request.output)

    @property
    def finish(self) -> FinishReason | None:
        """Return why it ended; None while it goes on."""
        return "stop" if self._stops.found else self._request.finish

    @property
    def prefill_speed(self) -> float:
        """Return prompt tokens per second, up to the first token; 0 before that."""
        if not self._times:
            return 0.0
        return len(self._request.prompt) / (self._times[0] - self._started)

    @property
    def decode_speed(self) -> float:
        """Return tokens per second after the first; 0 when there is no second."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])
