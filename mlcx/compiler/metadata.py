"""What a library says of itself: the JSON that ``_metadata()`` returns.

The fields are those that MLC Engine and web-llm read, and mlcx's own stamp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm.relax.frontend import nn

from mlcx.compiler.compile_config import CompileConfig
from mlcx.nn.kv_cache import KVCacheSpec
from mlcx.nn.rnn_state import RNNStateSpec
from mlcx.stamp import KEY, Stamp

__all__ = ["bounds", "metadata"]

_ABSENT = -1
"""How the format says that a model has no such window."""


def metadata(
    config: CompileConfig,
    stamp: Stamp,
    state: KVCacheSpec | RNNStateSpec,
    params: Sequence[tuple[str, nn.Parameter]],
) -> dict[str, Any]:
    """Return everything but what is known once the library is planned.

    That is ``memory_usage`` and the stamp's ``abi``. The stamp comes first, where it is
    looked for.
    """
    fields = config.model_config
    cached = isinstance(state, KVCacheSpec)
    return {
        KEY: stamp.as_json(),
        "model_type": config.model_type,
        "quantization": config.quantization,
        "context_window_size": fields.get("context_window_size", _ABSENT),
        "sliding_window_size": fields.get("sliding_window_size", _ABSENT),
        "attention_sink_size": fields.get("attention_sink_size", _ABSENT),
        "prefill_chunk_size": fields["prefill_chunk_size"],
        "max_batch_size": fields["max_batch_size"],
        "tensor_parallel_shards": fields["tensor_parallel_shards"],
        "pipeline_parallel_stages": fields.get("pipeline_parallel_stages", 1),
        "disaggregation": fields.get("disaggregation", False),
        "kv_state_kind": "kv_cache" if cached else "rnn_state",
        "model_task": "chat",
        "active_vocab_size": config.active_vocab_size,
        "params": [_parameter(name, each) for name, each in params],
        **_state(state),
    }


def _state(state: KVCacheSpec | RNNStateSpec) -> dict[str, object]:
    """Return what a conversation keeps; of a state, MLC's readers do not ask."""
    if isinstance(state, KVCacheSpec):
        return {"kv_cache": _kv_cache(state)}
    tensors = [{"shape": list(t.shape), "dtype": t.dtype} for t in state.states]
    return {"rnn_state": {"num_hidden_layers": state.num_layers, "states": tensors}}


def _kv_cache(cache: KVCacheSpec) -> dict[str, int]:
    return {
        "num_hidden_layers": cache.num_layers,
        "num_attention_heads": cache.num_q_heads,
        "num_key_value_heads": cache.num_kv_heads,
        "head_dim": cache.head_dim,
    }


def _parameter(name: str, parameter: nn.Parameter) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [int(size) for size in parameter.shape],
        "dtype": parameter.dtype,
        "preprocs": [],
        "pipeline_stages": [0],
    }


def bounds(model_config: Mapping[str, Any]) -> dict[str, int]:
    """Return the most that each symbolic size of a function can be, where one exists.

    A model with a sliding window has no bound on the length of a sequence.
    """
    sizes = {
        "total_seq_len": model_config["context_window_size"],
        "seq_len": model_config["prefill_chunk_size"],
        "batch_size": model_config["max_batch_size"],
    }
    return {name: most for name, most in sizes.items() if most != _ABSENT}
