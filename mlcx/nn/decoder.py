"""The decoder-only language model: every function that MLC Engine asks of one.

An architecture gives the network; what the functions are called and what they take and
return is decided here, for all of them. Shapes below:
s tokens of one forward, b sequences, h hidden size, V vocabulary size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from tvm import te, tirx
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op, spec

from mlcx.nn.embedding import take_rows
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache

__all__ = ["DecoderLM"]

_Forward = tuple[nn.Tensor, PagedKVCache]


class DecoderLM(nn.Module, ABC):
    """Everything but the network, which a subclass gives by the first three methods.

    Args:
        cache: What the network asks of its cache.
        hidden_size: h.
    """

    def __init__(self, cache: KVCacheSpec, hidden_size: int) -> None:
        self.state_spec = cache
        self.hidden_size = hidden_size

    @abstractmethod
    def embed(self, input_ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""

    @abstractmethod
    def forward(self, x: nn.Tensor, cache: PagedKVCache) -> nn.Tensor:
        """Embeddings (b, s, h) to final hidden states (b, s, h)."""

    @abstractmethod
    def get_logits(self, hidden_states: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""

    def batch_select_last_hidden_states(
        self, hidden_states: nn.Tensor, logit_positions: nn.Tensor
    ) -> nn.Tensor:
        """Rows of (s, h) at ``logit_positions`` (b,): (b, h)."""
        return take_rows(hidden_states, logit_positions)

    def prefill_to_last_hidden_states(
        self, input_embed: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(1, s, h) to the hidden states (1, s, h)."""
        return self(input_embed, paged_kv_cache), paged_kv_cache

    def decode_to_last_hidden_states(
        self, input_embed: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(1, 1, h) to (1, 1, h)."""
        return self(input_embed, paged_kv_cache), paged_kv_cache

    def batch_prefill_to_last_hidden_states(
        self, input_embeds: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(1, s, h), the sequences in a row, to (1, s, h)."""
        return self(input_embeds, paged_kv_cache), paged_kv_cache

    def batch_decode_to_last_hidden_states(
        self, input_embeds: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(b, 1, h) to (b, 1, h)."""
        return self(input_embeds, paged_kv_cache), paged_kv_cache

    def batch_verify_to_last_hidden_states(
        self, input_embeds: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(1, s, h) to (1, s, h)."""
        return self(input_embeds, paged_kv_cache), paged_kv_cache

    def prefill(self, input_embed: nn.Tensor, paged_kv_cache: PagedKVCache) -> _Forward:
        """(1, s, h) to the logits (1, 1, V) of the last position."""
        hidden = self(input_embed, paged_kv_cache)
        return self.get_logits(_last(hidden)), paged_kv_cache

    def decode(self, input_embed: nn.Tensor, paged_kv_cache: PagedKVCache) -> _Forward:
        """(1, 1, h) to the logits (1, 1, V)."""
        hidden = self(input_embed, paged_kv_cache)
        return self.get_logits(hidden), paged_kv_cache

    def batch_prefill(
        self,
        input_embeds: nn.Tensor,
        logit_positions: nn.Tensor,
        paged_kv_cache: PagedKVCache,
    ) -> _Forward:
        """(1, s, h) to the logits (1, b, V) at ``logit_positions`` (b,)."""
        hidden = self(input_embeds, paged_kv_cache)
        hidden = op.squeeze(hidden, 0)
        hidden = op.unsqueeze(take_rows(hidden, logit_positions), 0)
        return self.get_logits(hidden), paged_kv_cache

    def batch_decode(
        self, input_embeds: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(b, 1, h) to the logits (b, 1, V)."""
        hidden = self(input_embeds, paged_kv_cache)
        return self.get_logits(hidden), paged_kv_cache

    def batch_verify(
        self, input_embeds: nn.Tensor, paged_kv_cache: PagedKVCache
    ) -> _Forward:
        """(1, s, h) to the logits (1, s, V) of every position."""
        hidden = self(input_embeds, paged_kv_cache)
        return self.get_logits(hidden), paged_kv_cache

    def create_paged_kv_cache(
        self,
        max_batch_size: tirx.Var,
        max_total_seq_len: tirx.Var,
        prefill_chunk_size: tirx.Var,
        page_size: tirx.Var,
        support_sliding_window: tirx.Var,
    ) -> PagedKVCache:
        """Create the cache; sizes in sequences and tokens, the last is 0 or 1."""
        return PagedKVCache.create(
            self.state_spec,
            max_batch_size,
            max_total_seq_len,
            prefill_chunk_size,
            page_size,
            support_sliding_window,
        )

    def functions(self, dtype: str) -> spec.ModuleSpec:
        """Return the signatures of all functions, with activations in ``dtype``."""
        h = self.hidden_size
        cache = {"paged_kv_cache": spec.Object(object_type=PagedKVCache)}
        positions = {"logit_positions": spec.Tensor(["batch_size"], "int32")}
        rows = {"hidden_states": spec.Tensor(["seq_len", h], dtype)}
        prompt = {"input_embed": spec.Tensor([1, "seq_len", h], dtype)}
        token = {"input_embed": spec.Tensor([1, 1, h], dtype)}
        prompts = {"input_embeds": spec.Tensor([1, "seq_len", h], dtype)}
        tokens = {"input_embeds": spec.Tensor(["batch_size", 1, h], dtype)}
        inputs = {
            "embed": {"input_ids": spec.Tensor(["seq_len"], "int32")},
            "get_logits": rows,
            "batch_select_last_hidden_states": rows | positions,
            "prefill": prompt | cache,
            "decode": token | cache,
            "prefill_to_last_hidden_states": prompt | cache,
            "decode_to_last_hidden_states": token | cache,
            "batch_prefill": prompts | positions | cache,
            "batch_decode": tokens | cache,
            "batch_verify": prompts | cache,
            "batch_prefill_to_last_hidden_states": prompts | cache,
            "batch_decode_to_last_hidden_states": tokens | cache,
            "batch_verify_to_last_hidden_states": prompts | cache,
            "create_paged_kv_cache": dict.fromkeys(_CACHE_SIZES, int),
        }
        plain = ("batch_select_last_hidden_states", "create_paged_kv_cache")
        for name, row in inputs.items():
            mode = "none" if name in plain else "packed"
            row["$"] = {"param_mode": mode, "effect_mode": "none"}
        return spec.ModuleSpec.from_raw(inputs, self)


_CACHE_SIZES = (
    "max_batch_size",
    "max_total_seq_len",
    "prefill_chunk_size",
    "page_size",
    "support_sliding_window",
)


def _last(hidden: nn.Tensor) -> nn.Tensor:
    """Return the last position (b, 1, h) of ``hidden`` (b, s, h)."""

    def last(x: te.Tensor) -> te.Tensor:
        b, s, h = x.shape
        return te.compute((b, 1, h), lambda i, _, k: x[i, s - 1, k], name="last")

    return op.tensor_expr_op(last, "last", [hidden])
