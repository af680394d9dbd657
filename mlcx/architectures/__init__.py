"""The architectures that there are, by name, and how large a model may say it is.

Apart from ``mlcx.models`` so that a spec can be checked without loading any of them.
"""

from __future__ import annotations

__all__ = ["ARCHITECTURES", "largest"]

_MOST = 2**31 - 1
_MOST_PARTS = 10_000
_PARTS = ("n_layer", "num_experts", "num_hidden_layers", "num_local_experts")
"""Each makes parameters of its own: a slip of the pen must not make billions."""

ARCHITECTURES: dict[str, str] = {
    "codegen": "mlcx.models.moss",
    "cohere": "mlcx.models.cohere",
    "gemma": "mlcx.models.gemma",
    "gemma2": "mlcx.models.gemma2",
    "gemma3": "mlcx.models.gemma3_text",
    "gemma3_text": "mlcx.models.gemma3_text",
    "gpt2": "mlcx.models.gpt2",
    "gpt_neox": "mlcx.models.gpt_neox",
    "gptj": "mlcx.models.gptj",
    "internlm2": "mlcx.models.internlm2",
    "llama": "mlcx.models.llama",
    "mistral": "mlcx.models.mistral",
    "mixformer-sequential": "mlcx.models.phi_msft",
    "mixtral": "mlcx.models.mixtral",
    "moss": "mlcx.models.moss",
    "olmo2": "mlcx.models.olmo2",
    "phi": "mlcx.models.phi",
    "phi-msft": "mlcx.models.phi_msft",
    "phi3": "mlcx.models.phi3",
    "qwen2": "mlcx.models.qwen2",
    "qwen2_moe": "mlcx.models.qwen2_moe",
    "qwen3": "mlcx.models.qwen3",
    "qwen3_moe": "mlcx.models.qwen3_moe",
    "rwkv5": "mlcx.models.rwkv5",
    "rwkv6": "mlcx.models.rwkv6",
    "stablelm": "mlcx.models.stablelm",
    "starcoder2": "mlcx.models.starcoder2",
}
"""``model_type`` to the module that has it; nothing is imported before it is asked."""


def largest(key: str) -> int:
    """Return the largest number that the field ``key`` of a config may have."""
    return _MOST_PARTS if key in _PARTS else _MOST
