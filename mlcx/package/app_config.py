"""``mlc-app-config.json``: what an app finds in its bundle, where, and how large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mlcx.artifact import write_json
from mlcx.errors import BuildError, InputError
from mlcx.library.contents import Model, read
from mlcx.library.memory import Memory, memory_of
from mlcx.spec.prefix import canonical_prefix
from mlcx.spec.types import AppEntry

__all__ = ["with_memory", "write_app_config"]


def write_app_config(entries: Iterable[AppEntry], path: Path) -> None:
    """Write the rows of an app config, in MLC's order of keys, atomically.

    A key that has no value is left out.
    """
    rows = [_row(entry) for entry in entries]
    write_json(path, {"model_list": rows})


def _row(entry: AppEntry) -> dict[str, object]:
    return {key: value for key, value in asdict(entry).items() if value is not None}


def with_memory(entry: AppEntry, library: Path | None) -> tuple[AppEntry, str]:
    """Return ``entry`` with the memory that its model takes, and a warning or "".

    What the spec says stays; the warning is that the model takes more.

    Args:
        entry: Of an app config.
        library: That it names; any file when the spec says what it takes. None: what
            the model takes is not asked.

    Raises:
        BuildError: Neither the spec says it nor the library.
        InputError: The spec does not say it, and the library cannot be read.
    """
    given = entry.estimated_vram_bytes
    if library is None:
        return entry, ""
    memory = _memory(entry, library, required=given is None)
    if given is None and memory is not None:
        return replace(entry, estimated_vram_bytes=memory.total), ""
    if given is None or memory is None or given >= memory.total:
        return entry, ""
    said = f"{entry.model_id}: estimated_vram_bytes is {given}"
    return entry, f"{said}, but {library.name} takes {memory.total}: {memory}"


def _memory(entry: AppEntry, library: Path, required: bool) -> Memory | None:
    way_out = f"give the estimated_vram_bytes of {entry.model_id} in the spec"
    try:
        model = _model(read(library).models, entry.model_lib)
    except InputError as error:
        if required:
            raise InputError.in_file(library, f"{_reason(error)}: {way_out}") from error
        return None
    memory = None if model is None else memory_of(model)
    if memory is None and required:
        raise BuildError(f"{library} does not say what memory it takes: {way_out}")
    return memory


def _reason(error: InputError) -> str:
    return error.problems[0].message


def _model(models: Sequence[Model], name: str) -> Model | None:
    """Return the model that an app means by ``name``; the only one needs no name."""
    if len(models) == 1:
        return models[0]
    prefix = canonical_prefix(name)
    stamps = ((model, model.description.stamp) for model in models)
    named = (
        model for model, stamp in stamps if stamp and stamp.system_lib_prefix == prefix
    )
    return next(named, None)
