"""What a compiled library says of itself through its ``_metadata`` function."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlcx.errors import InputError
from mlcx.runtime.fields import Fields

__all__ = ["Metadata", "Parameter", "StateKind", "parse"]

StateKind = Literal["kv_cache", "rnn_state"]

_STATE_KINDS: dict[str, StateKind] = {
    "kv_cache": "kv_cache",
    "rnn_state": "rnn_state",
}


@dataclass(frozen=True)
class Parameter:
    """One weight that the library's functions take."""

    name: str
    shape: tuple[int | str, ...]
    """A string is a size that the model's configuration names."""
    dtype: str


@dataclass(frozen=True)
class Metadata:
    """The limits that a library was compiled with, in tokens, and its parameters.

    A window of -1 means that there is none.
    """

    model_type: str
    quantization: str
    context_window_size: int
    sliding_window_size: int
    attention_sink_size: int
    prefill_chunk_size: int
    max_batch_size: int
    parameters: tuple[Parameter, ...]
    """In the order in which the library's functions take them."""
    state_kind: StateKind = "kv_cache"
    """What it keeps of a sequence: all keys and values, or a state of fixed size."""


def parse(text: str, library: Path) -> Metadata:
    """Return the metadata in ``text``, the JSON that ``library`` returned.

    Raises:
        InputError: It is no such JSON, or it asks for what this runtime does not do.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError.in_file(
            library, f"its _metadata is not JSON: {error}"
        ) from error
    fields = Fields(f"{library}: _metadata", value)
    kind = _require_supported(fields)
    return Metadata(
        model_type=fields.text("model_type"),
        quantization=fields.text("quantization"),
        context_window_size=fields.integer("context_window_size"),
        sliding_window_size=fields.integer("sliding_window_size", -1),
        attention_sink_size=fields.integer("attention_sink_size", -1),
        prefill_chunk_size=fields.integer("prefill_chunk_size"),
        max_batch_size=fields.integer("max_batch_size"),
        parameters=tuple(map(_parameter, fields.objects("params"))),
        state_kind=kind,
    )


def _require_supported(fields: Fields) -> StateKind:
    """Return what the library keeps; reject what this runtime does not do."""
    for key in ("tensor_parallel_shards", "pipeline_parallel_stages"):
        if (count := fields.integer(key, 1)) != 1:
            fields.reject(key, f"this runtime uses one device, found {count}")
    found = fields.text("kv_state_kind", "kv_cache")
    if found not in _STATE_KINDS:
        known = " and ".join(_STATE_KINDS)
        fields.reject("kv_state_kind", f"this runtime runs {known}, found {found}")
    return _STATE_KINDS[found]


def _parameter(fields: Fields) -> Parameter:
    shape: list[int | str] = []
    for index, size in enumerate(fields.values("shape")):
        if type(size) not in (int, str):
            fields.reject(f"shape/{index}", "expected an integer or the name of one")
        shape.append(size)
    return Parameter(fields.text("name"), tuple(shape), fields.text("dtype"))
