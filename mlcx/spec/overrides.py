"""Overrides that contradict each other, though each is right by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlcx.architectures.overriding import OVERRIDES
from mlcx.spec.violations import did_you_mean

__all__ = ["contradictions", "mistaken", "whole"]

_CONTEXT = "context_window_size"
_WINDOW = "sliding_window_size"
_CHUNK = "prefill_chunk_size"
_SINK = "attention_sink_size"


def contradictions(
    overrides: Mapping[str, Any], model_has_window: bool
) -> Iterator[tuple[str, str]]:
    """Yield the key at fault and what is wrong with it.

    Args:
        overrides: By key; sizes are in tokens, and -1 means none.
        model_has_window: The model's own config sets a sliding window.
    """
    sizes = {key: size for key, size in overrides.items() if size != -1}
    context, window = sizes.get(_CONTEXT), sizes.get(_WINDOW)
    if context and window:
        both = f"{_WINDOW} {window} and {_CONTEXT} {context} exclude each other"
        yield _WINDOW, f"{both}: remove one, or set it to -1"
    yield from _chunk(sizes)
    off = overrides.get(_WINDOW) == -1
    yield from _sink(sizes, model_has_window and not off, off)


def _chunk(sizes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    chunk = sizes.get(_CHUNK)
    for key in (_CONTEXT, _WINDOW):
        limit = sizes.get(key)
        if chunk and limit and chunk > limit:
            yield _CHUNK, f"expected at most {limit}, the {key}, found {chunk}"


def _sink(
    sizes: Mapping[str, Any], slides: bool, off: bool
) -> Iterator[tuple[str, str]]:
    sink, window = sizes.get(_SINK), sizes.get(_WINDOW)
    if sink and window and sink >= window:
        yield _SINK, f"expected less than {window}, the {_WINDOW}, found {sink}"
    elif sink and not window and not slides:
        none = (
            f"{_WINDOW} -1 takes it away: remove one of them"
            if off
            else "neither the overrides nor the model set one: "
            f"add {_WINDOW} or remove this"
        )
        yield _SINK, f"{_SINK} {sink} needs a sliding window, and {none}"


def mistaken(overrides: Mapping[str, object]) -> str:
    """Say what is no override, or not of its type, outside specs; empty: all are.

    What a step is to read from a text passes.
    """
    for key, value in overrides.items():
        if key not in OVERRIDES:
            hint = did_you_mean(key, OVERRIDES)
            return f"expected one of {', '.join(OVERRIDES)}, found {key!r}{hint}"
        if type(_plain(value)) not in (OVERRIDES[key], str):
            wanted = "true or false" if OVERRIDES[key] is bool else "a whole number"
            return f"{key}: expected {wanted}, found {value!r}"
    return ""


def whole(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``overrides`` by key; JSON Schema takes 512.0 for a whole number: 512."""
    return {key: _plain(value) for key, value in sorted(overrides.items())}


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
