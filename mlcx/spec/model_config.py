"""What a model's config must say for any step to begin, told without its architecture.

An architecture reads more, but can only be asked in a step: loading it loads TVM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlcx.architectures import ARCHITECTURES, largest
from mlcx.spec.source import describe, quote
from mlcx.spec.violations import did_you_mean

__all__ = ["config_problems", "sizes_of"]

_LAYERS = "num_hidden_layers"
_USUAL = ("vocab_size", "hidden_size", _LAYERS, "num_attention_heads")
_GPT = ("vocab_size", "n_embd", "n_layer", "n_head")
_RECURRENT = ("vocab_size", "hidden_size", _LAYERS)
_DEFAULTED = ("hidden_size", _LAYERS)

_SIZES: dict[str, tuple[str, ...]] = {
    "codegen": _GPT,
    "gemma3": _DEFAULTED,
    "gpt2": _GPT,
    "gptj": _GPT,
    "mixformer-sequential": _GPT,
    "moss": _GPT,
    "phi-msft": _GPT,
    "rwkv5": _RECURRENT,
    "rwkv6": _RECURRENT,
}
"""Architecture to the sizes that its configs must have, where not the usual ones."""


def sizes_of(model_type: str) -> tuple[str, ...]:
    """Return the keys of the sizes that a config of ``model_type`` must have."""
    return _SIZES.get(model_type, _USUAL)


def config_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what no architecture could make a model of.

    Args:
        config: A Hugging Face ``config.json``, or mlc-chat-config.json.
    """
    flat = {**_part(config, "model_config"), **config}
    kind = flat.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        known = ", ".join(map(quote, ARCHITECTURES))
        hint = did_you_mean(kind, ARCHITECTURES) if isinstance(kind, str) else ""
        yield f"model_type: expected one of {known}, {_found(flat, 'model_type')}{hint}"
        return
    flat = {**_part(flat, "text_config"), **flat}
    for key in sizes_of(kind):
        if type(flat.get(key)) is not int or not 0 < flat[key] <= largest(key):
            wanted = f"expected a whole number from 1 to {largest(key)}"
            yield f"{key}: {wanted}, as {kind} needs, {_found(flat, key)}"


def _part(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = config.get(key)
    return inner if isinstance(inner, dict) else {}


def _found(config: Mapping[str, Any], key: str) -> str:
    return f"found {describe(config[key])}" if key in config else "found nothing"
