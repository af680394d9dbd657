"""Libraries' metadata for tests, as TVM stores it, without compiling anything."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from mlcx.stamp import KEY, Stamp

OVERRIDES = {"context_window_size": 64, "sliding_window_size": -1}


def stamp(**changes: Any) -> Stamp:
    """The stamp of a library for any CPU of this machine's, but for ``changes``."""
    host = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64"}
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "tvm": version("apache-tvm"),
        "tvm_ffi": version("apache-tvm-ffi"),
        "device": "cpu",
        "target": {**host, "host": host},
        "cpu_features": [],
        "opt": "O2",
        "system_lib_prefix": None,
        "recipe": None,
        "overrides": OVERRIDES,
        "config_sha256": "0" * 64,
        "abi": {"vm.builtin.rnn_state_create": {"arguments": 6}},
    }
    return Stamp(**{**fields, **changes})


def metadata(made: Stamp | None = None, **changes: Any) -> dict[str, Any]:
    """What a library says; without a stamp, one of MLC LLM's."""
    own = {} if made is None else {KEY: made.as_json()}
    limits = {"context_window_size": 64, "prefill_chunk_size": 32, "max_batch_size": 4}
    return {
        **own,
        "model_type": "llama",
        "quantization": "q4f16_1",
        **limits,
        "sliding_window_size": -1,
        "kv_state_kind": "kv_cache",
        "params": [{"name": "w", "shape": [3, 4], "dtype": "float16"}],
        "memory_usage": {"prefill": 2048, "decode": 64},
        **changes,
    }


def stored(value: dict[str, Any]) -> bytes:
    """``value`` among other data, its length in front."""
    text = json.dumps(value).encode()
    return b"\x01\x02{" + len(text).to_bytes(8, "little") + text + b"\x00rest}"
