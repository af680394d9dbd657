"""What overrides can make of a config, and what no library is built for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from typing import Any

from mlcx.architectures import architecture
from mlcx.architectures.config import OPEN

__all__ = ["OVERRIDES", "flatten", "given", "unbuildable", "without_effect"]

OVERRIDES: dict[str, type] = {
    "context_window_size": int,
    "sliding_window_size": int,
    "prefill_chunk_size": int,
    "attention_sink_size": int,
    "max_batch_size": int,
    "tensor_parallel_shards": int,
    "pipeline_parallel_stages": int,
    "disaggregation": bool,
}
"""The fields that a spec or a command line may override, as in MLC."""

_CONTEXT, _WINDOW = "context_window_size", "sliding_window_size"

_ALONE = ("tensor_parallel_shards", "pipeline_parallel_stages")


def flatten(data: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the top level of an MLC chat config over ``model_config``, as MLC does."""
    inner = data.get("model_config")
    outer = {key: value for key, value in data.items() if key != "model_config"}
    return {**inner, **outer} if isinstance(inner, dict) else outer


def given(model_type: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that are to change something.

    -1 leaves a field alone, but for a sliding window: it takes away the one that an
    architecture may have.
    """
    names = {each.name for each in fields_of(architecture(model_type).Config)}
    closed = names & {_WINDOW}
    return {
        key: value for key, value in overrides.items() if value != OPEN or key in closed
    }


def without_effect(
    model_type: str, fields: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the keys of overrides that a config does not follow, and why.

    Args:
        model_type: Of the config.
        fields: The config that came out of a checkpoint's with ``overrides``.
        overrides: By key, those that are ``given``.
    """
    for key, wanted in overrides.items():
        if key not in fields:
            yield key, f"{model_type} has no such field"
        elif fields[key] != wanted:
            slides = key == _CONTEXT and fields.get(_WINDOW, OPEN) != OPEN
            hint = f"; set {_WINDOW} to {OPEN} too, as its window slides" * slides
            yield key, f"{wanted} cannot be: {model_type} makes it {fields[key]}{hint}"


def unbuildable(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of ``fields`` that ask for libraries of many devices, and why."""
    if fields.get("disaggregation"):
        yield "disaggregation", "expected false, the only way that libraries are built"
    for key in _ALONE:
        if (found := fields.get(key, 1)) != 1:
            yield key, f"expected 1, as libraries are for one device, found {found}"
