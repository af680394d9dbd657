"""The network that versions of RWKV share, under the names of their checkpoints.

Below, s tokens of one forward, b sequences, h hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tvm.relax.frontend import nn

from mlcx.nn.embedding import Embedding, take_rows
from mlcx.nn.recurrence import token_shift
from mlcx.nn.recurrent_lm import Forward, RecurrentLM
from mlcx.nn.rnn_state import RNNState, RNNStateSpec, StateSpec

__all__ = ["Block", "Body", "Rwkv", "Sizes"]

_ATTENTION_INPUT, _ATTENTION_STATE, _MLP_INPUT = range(3)
"""The tensors of a layer's state; inputs are those of the last token."""


class Sizes(Protocol):
    """What a config tells."""

    @property
    def hidden_size(self) -> int:
        """Width between the layers."""

    @property
    def intermediate_size(self) -> int:
        """Width inside the feed-forward blocks."""

    @property
    def num_heads(self) -> int:
        """Heads of the attention."""

    @property
    def head_size(self) -> int:
        """Width of a head."""

    @property
    def head_size_divisor(self) -> int:
        """Of the epsilon of the heads' norm, the square root over that of 1e-5."""

    @property
    def num_hidden_layers(self) -> int:
        """Layers."""

    @property
    def vocab_size(self) -> int:
        """Tokens."""

    @property
    def layer_norm_epsilon(self) -> float:
        """Of every norm but that of the heads."""

    @property
    def rescale_every(self) -> int:
        """Layers after which activations are halved; 0: never."""


class Rwkv(RecurrentLM):
    """``model`` and ``head``; a version gives its attention and feed-forward.

    Args:
        config: Sizes.
        dtype: Of activations, and of parameters that do not keep one of their own.
        attention: Makes one, which maps x (s, h), x shifted by a token, the heads'
            states (b, heads, n, n) and the ends (b,) to (s, h) and the states after it.
        feed_forward: Makes one, which maps x and x shifted to (s, h).
    """

    def __init__(
        self,
        config: Sizes,
        dtype: str,
        attention: Callable[[], nn.Module],
        feed_forward: Callable[[], nn.Module],
    ) -> None:
        hidden, size = config.hidden_size, config.head_size
        token = StateSpec((hidden,), dtype)
        heads = StateSpec((config.num_heads, size, size), "float32")
        layers = config.num_hidden_layers
        super().__init__(RNNStateSpec(layers, (token, heads, token)), hidden)
        blocks = [Block(config, n, attention(), feed_forward()) for n in range(layers)]
        self.model = Body(config, blocks)
        self.head = nn.Linear(
            hidden, config.vocab_size, bias=False, out_dtype="float32"
        )
        self.to(dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.model.embeddings(input_ids)

    def forward(self, x: nn.Tensor, ends: nn.Tensor, state: RNNState) -> Forward:
        """Embeddings (s, h) to final hidden states (s, h), and the state after them."""
        hidden, state = self.model(x, ends, state, self.state_spec.states)
        return hidden, state

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.head(hidden_states)


class Body(nn.Module):
    """``embeddings``, ``blocks`` and ``ln_out``."""

    def __init__(self, config: Sizes, blocks: Sequence[nn.Module]) -> None:
        self.embeddings = Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(list(blocks))
        self.ln_out = _layer_norm(config)
        self.rescale_every = config.rescale_every

    def forward(
        self,
        x: nn.Tensor,
        ends: nn.Tensor,
        state: RNNState,
        states: tuple[StateSpec, ...],
    ) -> Forward:
        """Map ``x`` (s, h) to (s, h).

        Halving now and then keeps values in float16's range; the weights of what is
        added to them are scaled with them.
        """
        for layer, block in enumerate(self.blocks):
            before = [
                state.get(layer, index, each, ends.shape[0])
                for index, each in enumerate(states)
            ]
            x, after = block(x, ends, before)
            for index, value in enumerate(after):
                state = state.set(layer, index, value)
            if self.rescale_every and (layer + 1) % self.rescale_every == 0:
                x = x * 0.5
        return self.ln_out(x), state


class Block(nn.Module):
    """A layer: attention, then feed-forward, each behind a norm."""

    def __init__(
        self, config: Sizes, layer: int, attention: nn.Module, feed_forward: nn.Module
    ) -> None:
        self.first = layer == 0
        if self.first:
            self.pre_ln = _layer_norm(config)
        self.ln1 = _layer_norm(config)
        self.ln2 = _layer_norm(config)
        self.attention = attention
        self.feed_forward = feed_forward

    def forward(
        self, x: nn.Tensor, ends: nn.Tensor, before: Sequence[nn.Tensor]
    ) -> tuple[nn.Tensor, list[nn.Tensor]]:
        """Map ``x`` (s, h) to (s, h), and the layer's states to those after it."""
        if self.first:
            x = self.pre_ln(x)
        inner = self.ln1(x)
        shifted = token_shift(inner, before[_ATTENTION_INPUT], ends)
        out, heads = self.attention(inner, shifted, before[_ATTENTION_STATE], ends)
        x = x + out
        outer = self.ln2(x)
        shifted = token_shift(outer, before[_MLP_INPUT], ends)
        x = x + self.feed_forward(outer, shifted)
        return x, [take_rows(inner, ends), heads, take_rows(outer, ends)]


def _layer_norm(config: Sizes) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, config.layer_norm_epsilon)
