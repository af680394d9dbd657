"""One text being generated: what was asked for, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mlcx.errors import MlcxError
from mlcx.runtime.sampler import Sampler, Sampling

__all__ = ["FinishReason", "Request"]

FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(eq=False)
class Request:
    """A prompt and what follows it; the engine changes it, its owner reads it."""

    sequence: int
    """The name of its keys and values in the model's cache."""
    prompt: tuple[int, ...]
    sampling: Sampling
    sampler: Sampler
    output: list[int] = field(default_factory=list)
    cached: int = 0
    """How many of its tokens, from the first on, the model has seen."""
    finish: FinishReason | None = None
    error: MlcxError | None = None
    """Why no more tokens came, when that is how it finished."""

    @property
    def length(self) -> int:
        """Number of tokens so far, prompt and output."""
        return len(self.prompt) + len(self.output)

    @property
    def in_prefill(self) -> bool:
        """Whether the model has yet to see tokens of the prompt."""
        return self.cached < len(self.prompt)

    def pending(self, most: int) -> list[int]:
        """Return the next tokens that the model has not seen, at most ``most``."""
        if self.in_prefill:
            return list(self.prompt[self.cached : self.cached + most])
        start = self.cached - len(self.prompt)
        return self.output[start : start + most]

    def accept(self, token: int, context: int) -> None:
        """Append ``token``, or finish: at a stop token, the limit or a full context."""
        if token in self.sampling.stop_tokens:
            self.finish = "stop"
            return
        self.output.append(token)
        if len(self.output) == self.sampling.max_tokens or self.length == context:
            self.finish = "length"
