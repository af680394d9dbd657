"""What is wrong with a model's config, or with what a spec overrides, before any step.

Architectures are asked themselves; none of them loads TVM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from mlcx.architectures import ARCHITECTURES, architecture
from mlcx.architectures.layer_names import layer_names
from mlcx.architectures.overriding import flatten, given, unbuildable, without_effect
from mlcx.errors import InputError
from mlcx.spec.source import describe, quote
from mlcx.spec.violations import did_you_mean

__all__ = ["architecture_of", "config_problems", "layers_of", "override_problems"]


def config_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Say why no library can be made of a model.

    Args:
        config: A Hugging Face ``config.json``, or mlc-chat-config.json.
    """
    flat = flatten(config)
    kind = flat.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        known = ", ".join(map(quote, ARCHITECTURES))
        hint = did_you_mean(kind, ARCHITECTURES) if isinstance(kind, str) else ""
        found = describe(kind) if "model_type" in flat else "nothing"
        yield f"model_type: expected one of {known}, found {found}{hint}"
        return
    try:
        architecture(kind).Config.from_hf(flat)
    except InputError as error:
        yield from (problem.message for problem in error.problems)


def architecture_of(config: Mapping[str, Any]) -> ModuleType:
    """Return the architecture that ``config`` names; it is as above, and right."""
    return architecture(flatten(config)["model_type"])


def layers_of(config: Mapping[str, Any]) -> list[str]:
    """Return what the layers of a model may be called; ``config`` likewise."""
    module = architecture_of(config)
    return layer_names(module, module.Config.from_hf(flatten(config)))


def override_problems(
    config: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Iterator[tuple[str | None, str]]:
    """Yield what ``overrides`` cannot make of a model: the key at fault, if any, why.

    Args:
        config: As above, with which nothing is wrong.
        overrides: By key; -1 as in ``given``.
    """
    flat = flatten(config)
    kind = flat["model_type"]
    wanted = given(kind, overrides)
    if wanted:
        try:
            config = architecture(kind).Config.from_hf(flat | wanted).to_dict()
        except InputError as error:
            yield from ((None, problem.message) for problem in error.problems)
            return
        yield from without_effect(kind, config, wanted)
    for key, why in unbuildable(flat | wanted):
        yield (key, why) if key in wanted else (None, f"{key}: {why}")
