"""Architectures: what checkpoints of each hold, named by their ``model_type``.

One file each. It has ``Config`` (``from_hf``, ``to_dict``), ``weights(config)`` (the
recipes of the network's parameters), ``LAYERS`` (names of what has a matrix, with
``{i}`` for the number of a block) and ``UNUSED`` (tensors to pass over). None of them
loads TVM, so that a spec can be checked by them; the networks are in ``mlcx.models``.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from mlcx.errors import UsageError

__all__ = ["ARCHITECTURES", "architecture", "largest"]

_MOST = 2**31 - 1
_MOST_PARTS = 10_000
_PARTS = ("n_layer", "num_experts", "num_hidden_layers", "num_local_experts")
"""Each makes parameters of its own: a slip of the pen must not make billions."""

ARCHITECTURES: dict[str, str] = {
    "codegen": "mlcx.architectures.moss",
    "cohere": "mlcx.architectures.cohere",
    "gemma": "mlcx.architectures.gemma",
    "gemma2": "mlcx.architectures.gemma2",
    "gemma3": "mlcx.architectures.gemma3_text",
    "gemma3_text": "mlcx.architectures.gemma3_text",
    "gpt2": "mlcx.architectures.gpt2",
    "gpt_neox": "mlcx.architectures.gpt_neox",
    "gptj": "mlcx.architectures.gptj",
    "internlm2": "mlcx.architectures.internlm2",
    "llama": "mlcx.architectures.llama",
    "mistral": "mlcx.architectures.mistral",
    "mixformer-sequential": "mlcx.architectures.phi_msft",
    "mixtral": "mlcx.architectures.mixtral",
    "moss": "mlcx.architectures.moss",
    "olmo2": "mlcx.architectures.olmo2",
    "phi": "mlcx.architectures.phi",
    "phi-msft": "mlcx.architectures.phi_msft",
    "phi3": "mlcx.architectures.phi3",
    "qwen2": "mlcx.architectures.qwen2",
    "qwen2_moe": "mlcx.architectures.qwen2_moe",
    "qwen3": "mlcx.architectures.qwen3",
    "qwen3_moe": "mlcx.architectures.qwen3_moe",
    "rwkv5": "mlcx.architectures.rwkv5",
    "rwkv6": "mlcx.architectures.rwkv6",
    "stablelm": "mlcx.architectures.stablelm",
    "starcoder2": "mlcx.architectures.starcoder2",
}
"""``model_type`` to the module that has it; nothing is imported before it is asked."""


def largest(key: str) -> int:
    """Return the largest number that the field ``key`` of a config may have."""
    return _MOST_PARTS if key in _PARTS else _MOST


def architecture(model_type: str) -> ModuleType:
    """Return the module of ``model_type``.

    Raises:
        UsageError: No such architecture; the message lists those that exist.
    """
    if model_type not in ARCHITECTURES:
        raise UsageError.unknown("model_type", model_type, sorted(ARCHITECTURES))
    return importlib.import_module(ARCHITECTURES[model_type])
