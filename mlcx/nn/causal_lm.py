"""The network of most language models, under the names that their checkpoints use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from tvm.relax.frontend import nn

from mlcx.nn.attention import Attention, SelfAttention
from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import Heads, KVCacheSpec, PagedKVCache
from mlcx.nn.layer import PreNormLayer, in_turn
from mlcx.nn.mlp import GatedMLP

__all__ = ["Body", "CausalLM", "Sizes", "heads_of", "layer_norm", "rms_norm"]


class Sizes(Protocol):
    """What a config tells, in Hugging Face's names."""

    @property
    def hidden_size(self) -> int:
        """Width between the layers."""

    @property
    def intermediate_size(self) -> int:
        """Width inside the feed-forward blocks."""

    @property
    def num_attention_heads(self) -> int:
        """Query heads."""

    @property
    def num_key_value_heads(self) -> int:
        """Key heads, which query heads share evenly."""

    @property
    def head_dim(self) -> int:
        """Width of a head."""

    @property
    def num_hidden_layers(self) -> int:
        """Layers."""

    @property
    def vocab_size(self) -> int:
        """Tokens."""


_AnySizes = TypeVar("_AnySizes", bound=Sizes)


def heads_of(config: Sizes) -> Heads:
    """Return the heads of every layer."""
    return Heads(
        config.num_attention_heads, config.num_key_value_heads, config.head_dim
    )


def rms_norm(width: int, epsilon: float) -> Callable[[], nn.Module]:
    """Return what makes a norm of ``width``."""
    return lambda: nn.RMSNorm(width, -1, epsilon, bias=False)


def layer_norm(width: int, epsilon: float) -> Callable[[], nn.Module]:
    """Return what makes a norm of ``width`` that also moves the mean, with a bias."""
    return lambda: nn.LayerNorm(width, epsilon)


class Body(nn.Module):
    """``embed_tokens``, ``layers``, which map (x, cache, layer), and ``norm``."""

    def __init__(
        self, embedding: Embedding, layers: Sequence[nn.Module], norm: nn.Module
    ) -> None:
        self.embed_tokens = embedding
        self.layers = nn.ModuleList(list(layers))
        self.norm = norm

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Map embeddings (b, s, h) to normalized hidden states (b, s, h)."""
        return self.norm(in_turn(self.layers, x, cache))


# Generic comes first: TVM's modules do not pass on the making of subclasses.
class CausalLM(Generic[_AnySizes], DecoderLM):
    """``model`` and ``lm_head``; an architecture overrides the blocks that differ.

    Args:
        config: Sizes.
        cache: What the layers ask of their cache; all parameters have its dtype.
        norm: Makes a norm of the hidden size.
        tied: The embedding is the head.
    """

    def __init__(
        self,
        config: _AnySizes,
        cache: KVCacheSpec,
        norm: Callable[[], nn.Module],
        *,
        tied: bool,
    ) -> None:
        hidden = config.hidden_size
        super().__init__(cache, hidden)
        layers = self.layers(config, norm)
        self.model = Body(Embedding(config.vocab_size, hidden), layers, norm())
        self.tied = tied
        if not tied:
            self.lm_head = nn.Linear(
                hidden, config.vocab_size, bias=False, out_dtype="float32"
            )
        self.to(cache.dtype)

    def layers(
        self, config: _AnySizes, norm: Callable[[], nn.Module]
    ) -> list[nn.Module]:
        """Return all new layers."""
        return [self.layer(config, norm) for _ in range(config.num_hidden_layers)]

    def layer(self, config: _AnySizes, norm: Callable[[], nn.Module]) -> nn.Module:
        """Return a new layer, a map of (x, cache, layer)."""
        return PreNormLayer(self.attention(config), self.mlp(config), norm)

    def attention(self, config: _AnySizes) -> SelfAttention:
        """Return the attention of a new layer."""
        return Attention(config.hidden_size, heads_of(config))

    def mlp(self, config: _AnySizes) -> nn.Module:
        """Return the feed-forward block of a new layer."""
        return GatedMLP(config.hidden_size, config.intermediate_size)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.model.embed_tokens(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.model(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        if self.tied:
            return self.model.embed_tokens.logits(hidden_states)
        return self.lm_head(hidden_states)
