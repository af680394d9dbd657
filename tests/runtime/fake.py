"""A model without TVM: its logits are a hash of all tokens so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mlcx.errors import MlcxError
from mlcx.runtime.metadata import Metadata
from mlcx.runtime.model import Function, Logits

VOCABULARY = 50

METADATA = Metadata(
    model_type="fake",
    quantization="q0f32",
    context_window_size=64,
    sliding_window_size=-1,
    attention_sink_size=-1,
    prefill_chunk_size=4,
    max_batch_size=3,
    parameters=(),
)


def logits_after(tokens: Sequence[int]) -> Logits:
    """What the model says after ``tokens``, (VOCABULARY,)."""
    seed = [len(tokens), *tokens]
    row: Logits = np.random.default_rng(seed).normal(size=VOCABULARY).astype(np.float32)
    return row


def greedy_after(tokens: Sequence[int], count: int) -> list[int]:
    """The greedy continuation, computed without an engine."""
    all_tokens = list(tokens)
    for _ in range(count):
        all_tokens.append(int(logits_after(all_tokens).argmax()))
    return all_tokens[len(tokens) :]


class FakeModel:
    """Holds its callers to the contract of ``model.Model`` and records the calls."""

    metadata = METADATA

    def __init__(self, sequences: int = 3) -> None:
        self.sequences = sequences
        self.cache: dict[int, list[int]] = {}
        self.calls: list[tuple[Function, dict[int, list[int]]]] = []

    def add(self, sequence: int) -> None:
        assert sequence not in self.cache
        assert len(self.cache) < self.sequences
        self.cache[sequence] = []

    def remove(self, sequence: int) -> None:
        del self.cache[sequence]

    def forward(
        self,
        function: Function,
        tokens: Mapping[int, Sequence[int]],
        positions: Sequence[int] | None = None,
    ) -> Logits:
        self.calls.append((function, {key: list(part) for key, part in tokens.items()}))
        total = sum(map(len, tokens.values()))
        assert total <= self.metadata.prefill_chunk_size
        assert all(tokens.values())
        assert function.startswith("batch") or len(tokens) == 1
        assert not function.endswith("decode") or total == len(tokens)
        rows, last = [], []
        for sequence, part in tokens.items():
            for token in part:
                self.cache[sequence].append(token)
                rows.append(logits_after(self.cache[sequence]))
            last.append(len(rows) - 1)
        if function == "batch_verify":
            return np.stack(rows)
        chosen = last if positions is None else positions
        assert len(chosen) <= self.metadata.max_batch_size
        return np.stack([rows[index] for index in chosen])


class FailingModel(FakeModel):
    """Fails in one call, once its cache has grown, and works again in the next.

    Args:
        call: Which one, from 1 on.
        how: ``nan`` spoils the row of the first sequence, the others end the call.
    """

    def __init__(self, call: int, how: Literal["nan", "error", "interrupt"]) -> None:
        super().__init__()
        self._call = call
        self._how = how

    def forward(
        self,
        function: Function,
        tokens: Mapping[int, Sequence[int]],
        positions: Sequence[int] | None = None,
    ) -> Logits:
        rows = super().forward(function, tokens, positions)
        if len(self.calls) != self._call:
            return rows
        if self._how == "error":
            raise MlcxError("the model is broken")
        if self._how == "interrupt":
            raise KeyboardInterrupt
        rows[0] = np.nan
        return rows
