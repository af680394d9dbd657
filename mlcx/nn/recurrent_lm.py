"""The recurrent language model: every function that MLC Engine asks of one.

As ``decoder`` for models with a cache; an architecture gives the network. Shapes below:
s tokens of one forward, b sequences, h hidden size, V vocabulary size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from tvm import tirx
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op, spec

from mlcx.nn.embedding import take_rows
from mlcx.nn.recurrence import every_row, last_row
from mlcx.nn.rnn_state import RNNState, RNNStateSpec

__all__ = ["Forward", "RecurrentLM"]

Forward = tuple[nn.Tensor, RNNState]


class RecurrentLM(nn.Module, ABC):
    """Everything but the network, which a subclass gives by the first three methods.

    Args:
        state: What the network asks of its state.
        hidden_size: h.
    """

    def __init__(self, state: RNNStateSpec, hidden_size: int) -> None:
        self.state_spec = state
        self.hidden_size = hidden_size

    @abstractmethod
    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""

    @abstractmethod
    def forward(self, x: nn.Tensor, ends: nn.Tensor, state: RNNState) -> Forward:
        """Embeddings (s, h) to final hidden states (s, h), and the state after them.

        ``ends`` (b,) has the row of each sequence's last token.
        """

    @abstractmethod
    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""

    def prefill(self, input_embed: nn.Tensor, state: RNNState) -> Forward:
        """(1, s, h) to the logits (1, 1, V) of the last position."""
        x = op.squeeze(input_embed, 0)
        return self._last(x, last_row(x), state)

    def decode(self, input_embed: nn.Tensor, state: RNNState) -> Forward:
        """(1, 1, h) to the logits (1, 1, V)."""
        return self.batch_decode(input_embed, state)

    def batch_prefill(
        self, input_embeds: nn.Tensor, logit_positions: nn.Tensor, state: RNNState
    ) -> Forward:
        """(1, s, h), the sequences in a row, to the logits (1, b, V).

        ``logit_positions`` (b,) are those of each sequence's last token, and tell
        where one sequence ends and the next starts.
        """
        return self._last(op.squeeze(input_embeds, 0), logit_positions, state)

    def batch_decode(self, input_embeds: nn.Tensor, state: RNNState) -> Forward:
        """(b, 1, h) to the logits (b, 1, V)."""
        x = op.squeeze(input_embeds, 1)
        hidden, state = self(x, every_row(x), state)
        return self.get_logits(op.unsqueeze(hidden, 1)), state

    def batch_verify(self, input_embeds: nn.Tensor, state: RNNState) -> Forward:
        """(1, s, h) of one sequence to the logits (1, s, V) of every position."""
        x = op.squeeze(input_embeds, 0)
        hidden, state = self(x, last_row(x), state)
        return self.get_logits(op.unsqueeze(hidden, 0)), state

    def create_rnn_state(
        self, max_batch_size: tirx.Var, max_history: tirx.Var
    ) -> RNNState:
        """Create the state; see ``RNNState.create``."""
        return RNNState.create(self.state_spec, max_batch_size, max_history)

    def _last(self, x: nn.Tensor, ends: nn.Tensor, state: RNNState) -> Forward:
        """(s, h) to the logits (1, b, V) of the rows ``ends``."""
        hidden, state = self(x, ends, state)
        return self.get_logits(op.unsqueeze(take_rows(hidden, ends), 0)), state

    def functions(self, dtype: str) -> spec.ModuleSpec:
        """Return the signatures of all functions, with activations in ``dtype``."""
        h = self.hidden_size
        state = {"state": spec.Object(object_type=RNNState)}
        positions = {"logit_positions": spec.Tensor(["batch_size"], "int32")}
        prompts = {"input_embeds": spec.Tensor([1, "seq_len", h], dtype)}
        tokens = {"input_embeds": spec.Tensor(["batch_size", 1, h], dtype)}
        inputs = {
            "embed": {"input_ids": spec.Tensor(["seq_len"], "int32")},
            "prefill": {"input_embed": spec.Tensor([1, "seq_len", h], dtype)} | state,
            "decode": {"input_embed": spec.Tensor([1, 1, h], dtype)} | state,
            "batch_prefill": prompts | positions | state,
            "batch_decode": tokens | state,
            "batch_verify": prompts | state,
            "create_rnn_state": {"max_batch_size": int, "max_history": int},
        }
        for name, row in inputs.items():
            mode = "none" if name == "create_rnn_state" else "packed"
            row["$"] = {"param_mode": mode, "effect_mode": "none"}
        return spec.ModuleSpec.from_raw(inputs, self)
