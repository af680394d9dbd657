"""The network of GPT-2 and of its descendants, under the names of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from tvm.relax.frontend import nn

from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache
from mlcx.nn.layer import in_turn

__all__ = ["Body", "GptLM"]


class Body(nn.Module):
    """``wte``, ``h``, which map (x, cache, layer), and ``ln_f``."""

    def __init__(
        self, embedding: Embedding, layers: Sequence[nn.Module], norm: nn.Module
    ) -> None:
        self.wte = embedding
        self.h = nn.ModuleList(list(layers))
        self.ln_f = norm

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Map embeddings (b, s, h) to normalized hidden states (b, s, h)."""
        return self.ln_f(in_turn(self.h, x, cache))


class GptLM(DecoderLM):
    """``transformer`` and ``lm_head``.

    Args:
        body: The embedding, the layers and the norm behind them.
        head: Maps hidden states (..., h) to float32 logits.
        cache: What the layers ask of their cache; all parameters have its dtype.
    """

    def __init__(self, body: Body, head: nn.Module, cache: KVCacheSpec) -> None:
        super().__init__(cache, body.wte.dim)
        self.transformer = body
        self.lm_head = head
        self.to(cache.dtype)

    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return self.transformer.wte(input_ids)

    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""
        return self.transformer(x, cache)

    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return self.lm_head(hidden_states)
