"""A language model under the names that most checkpoints use."""

from __future__ import annotations

from collections.abc import Sequence

from tvm.relax.frontend import nn

from mlcx.nn.decoder import DecoderLM
from mlcx.nn.embedding import Embedding
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache

__all__ = ["Body", "CausalLM"]


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
        for index, layer in enumerate(self.layers):
            x = layer(x, cache, index)
        return self.norm(x)


class CausalLM(DecoderLM):
    """``model`` and ``lm_head``; when ``tied`` the embedding is the head."""

    def __init__(self, body: Body, cache: KVCacheSpec, *, tied: bool) -> None:
        vocab_size, hidden_size = body.embed_tokens.num, body.embed_tokens.dim
        super().__init__(cache, hidden_size)
        self.model = body
        self.tied = tied
        if not tied:
            self.lm_head = nn.Linear(
                hidden_size, vocab_size, bias=False, out_dtype="float32"
            )

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
