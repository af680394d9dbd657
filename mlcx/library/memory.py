"""The memory that a model takes on its device, told from what its library says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from mlcx.library.contents import Model, tensor_bytes

__all__ = ["Memory", "memory_of"]

_DTYPE = re.compile(r"b?f(16|32)(?![0-9])")
"""The type of activations and of the cache, in the name of a scheme."""

_PAGE = 16
"""Tokens; a cache is made of whole pages."""


@dataclass(frozen=True)
class Memory:
    """Bytes that one conversation at full length takes."""

    weights: int
    cache: int
    """Of keys and values; 0 for a model that keeps a state instead."""
    tokens: int
    """How long the conversation is."""
    temporary: int
    """Of the function that takes most."""
    state: int = 0
    """Of fixed size, however long the conversation is."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.temporary + self.state

    def __str__(self) -> str:
        kept = f", {self.cache} for a cache of {self.tokens} tokens"
        if not self.cache:
            kept = f", {self.state} for a state" if self.state else ""
        return (
            f"{self.weights} bytes of weights{kept} and {self.temporary} of temporaries"
        )


def memory_of(model: Model) -> Memory | None:
    """Return what ``model`` takes; None: its library does not say enough.

    As MLC reserves it for one conversation: all weights, the cache for as many tokens
    as the model was compiled for, and the most that any function needs.
    """
    metadata = model.description.metadata
    weights, usage = model.parameter_bytes, metadata.get("memory_usage")
    if weights is None or not isinstance(usage, dict):
        return None
    temporary = max((size for size in usage.values() if type(size) is int), default=0)
    if metadata.get("kv_state_kind", "kv_cache") != "kv_cache":
        return Memory(weights, 0, 0, temporary, _state_bytes(metadata))
    tokens, token = _tokens(metadata), _token_bytes(model)
    if tokens is None or token is None:
        return None
    return Memory(weights, tokens * token, tokens, temporary)


def _state_bytes(metadata: Mapping[str, Any]) -> int:
    """Return what one sequence keeps; 0: the library, of MLC or older, does not say."""
    state = metadata.get("rnn_state")
    layers, tensors = (
        (state.get("num_hidden_layers"), state.get("states"))
        if isinstance(state, dict)
        else (None, None)
    )
    if type(layers) is not int or not isinstance(tensors, list):
        return 0
    return layers * sum(tensor_bytes(each) or 0 for each in tensors)


def _tokens(metadata: Mapping[str, Any]) -> int | None:
    """Return how many tokens are in the cache at most; None: there is no bound."""
    window = metadata.get("sliding_window_size", -1)
    if type(window) is int and window > 0:
        tokens = window + metadata.get("prefill_chunk_size", 0)
    else:
        tokens = metadata.get("context_window_size")
    if type(tokens) is not int or tokens <= 0:
        return None
    return -(-tokens // _PAGE) * _PAGE


def _token_bytes(model: Model) -> int | None:
    """Return what one token takes in the cache: a key and a value for each layer."""
    metadata = model.description.metadata
    cache, scheme = metadata.get("kv_cache"), metadata.get("quantization")
    stamp = model.description.stamp
    if stamp is not None and stamp.recipe is not None:
        scheme = stamp.recipe.get("base")
    found = _DTYPE.search(str(scheme))
    if not isinstance(cache, dict) or found is None:
        return None
    names = ("num_hidden_layers", "num_key_value_heads", "head_dim")
    sizes = [cache.get(name) for name in names]
    known = [size for size in sizes if type(size) is int and size > 0]
    if len(known) != len(sizes):
        return None
    return 2 * prod(known) * int(found[1]) // 8
