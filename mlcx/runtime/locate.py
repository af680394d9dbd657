"""Finds the files that belong to a built model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlcx import artifact
from mlcx.errors import InputError, UsageError
from mlcx.runtime.fields import Fields

__all__ = ["Files", "locate"]

_SUFFIXES = (".so", ".dylib", ".dll")
"""Of libraries that a process can load."""


@dataclass(frozen=True)
class Files:
    """A model directory and the library compiled for it; both exist."""

    directory: Path
    library: Path


def locate(model: Path, library: Path | None) -> Files:
    """Return the files of the model in the directory ``model``.

    Args:
        model: Holds mlc-chat-config.json and the weights.
        library: None: the one that mlc-app-config.json beside the directory names, in
            ``lib`` beside that file's folder, where a package build puts it.

    Raises:
        UsageError: No library was named, and there is none to be found.
        InputError: A file is missing, or mlc-app-config.json is not what it must be.
    """
    if not (model / artifact.CHAT_CONFIG).is_file():
        raise InputError.in_file(
            model,
            f"expected a model directory with {artifact.CHAT_CONFIG}, as scons and "
            "mlcx gen_config make it",
        )
    if library is None:
        library = _packaged(model.resolve())
    elif not library.is_file():
        raise InputError.in_file(library, "no such library: mlcx compile makes one")
    return Files(model, library)


def _packaged(model: Path) -> Path:
    app = model.parent / artifact.APP_CONFIG
    if not app.is_file():
        raise UsageError(
            f"no library for {model.name}: {app} does not exist; name one with "
            f"--model-lib; mlcx compile {model} --device cpu -o FILE.so makes one"
        )
    name = _library_name(app, model.name)
    folder = model.parents[1] / "lib"
    candidates = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UsageError(
        f"no library for {model.name}: {app} names {name}, and there is none of "
        f"{', '.join(map(str, candidates))}; build it with scons for a device of this "
        "machine, or name one with --model-lib"
    )


def _library_name(app: Path, model_id: str) -> str:
    entries = Fields(app, artifact.read_json(app)).objects("model_list")
    for entry in entries:
        if entry.text("model_id") == model_id:
            return entry.text("model_lib")
    known = ", ".join(entry.text("model_id") for entry in entries)
    raise UsageError(
        f"{app}: no model_id {model_id}, which is the model directory's name; it has "
        f"{known or 'none'}; name the library with --model-lib"
    )
