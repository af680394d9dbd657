from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import InputError
from mlcx.runtime.metadata import Parameter, parse

VALUE = {
    "model_type": "llama",
    "quantization": "q4f16_1",
    "context_window_size": 2048,
    "sliding_window_size": -1,
    "attention_sink_size": -1,
    "prefill_chunk_size": 512,
    "max_batch_size": 4,
    "tensor_parallel_shards": 1,
    "params": [{"name": "w", "shape": ["vocab_size", 8], "dtype": "uint32"}],
    "memory_usage": {"decode": 10},
}


def parsed(change: dict[str, Any]) -> Any:
    return parse(json.dumps({**VALUE, **change}), Path("lib.so"))


def test_limits_and_parameters_are_read() -> None:
    metadata = parsed({})
    assert metadata.prefill_chunk_size == 512
    assert metadata.max_batch_size == 4
    assert metadata.parameters == (Parameter("w", ("vocab_size", 8), "uint32"),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kv_state_kind": "hybrid"}, "kv_cache and rnn_state, found hybrid"),
        ({"tensor_parallel_shards": 2}, "uses one device, found 2"),
        ({"pipeline_parallel_stages": 4}, "uses one device, found 4"),
        ({"prefill_chunk_size": 1.5}, "/prefill_chunk_size: expected an integer"),
        ({"params": [{"name": "w"}]}, "/params/0/shape: expected a list"),
        (
            {"params": [{"name": "w", "shape": [1.0], "dtype": "x"}]},
            "/params/0/shape/0",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_its_place(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"lib.so: _metadata: .*{message}"):
        parsed(change)


@pytest.mark.parametrize("kind", ["kv_cache", "rnn_state"])
def test_what_a_library_keeps_of_a_sequence_is_read(kind: str) -> None:
    assert parsed({"kv_state_kind": kind}).state_kind == kind


def test_metadata_that_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match="not JSON"):
        parse("{", Path("lib.so"))
