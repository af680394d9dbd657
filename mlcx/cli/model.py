"""Which model a verb is given: a path, a repository of the hub, or a preset's name."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlcx.architectures import ARCHITECTURES
from mlcx.errors import UsageError
from mlcx.presets import preset_file, preset_model_type, preset_names
from mlcx.spec.hub import is_remote

if TYPE_CHECKING:
    from mlcx.hub.keep import Part
    from mlcx.runtime.locate import Files
    from mlcx.spec.types import SourceKind

__all__ = [
    "REMOTE",
    "Given",
    "built",
    "folder_of",
    "given",
    "model_arguments",
]

REMOTE = "HF://USER/REPO[@REVISION]"
"""How a model of the hub is named."""

_AUTO = "auto"


class Given(NamedTuple):
    """A model on a command line."""

    path: Path
    """A file or a folder; whether there is such a one is still to be seen."""
    model_type: str | None
    """Architecture; None: what the config says."""
    preset: str | None
    """Name of the preset that ``path`` is the file of."""


def model_arguments(parser: argparse.ArgumentParser, name: str, meaning: str) -> None:
    """Declare the argument ``name``, optional, and ``--model-type``."""
    parser.add_argument(
        name,
        nargs="?",
        metavar=name.upper(),
        help=f"{meaning}; or {REMOTE}, or its page on the hub; or, where no such file "
        "or folder is, the name of a preset, such as llama2_7b",
    )
    parser.add_argument(
        "--model-type",
        default=_AUTO,
        metavar="T",
        help="architecture, or a preset that has it; auto: what the config says; "
        f"a preset stands for {name.upper()} too when that is left out",
    )


def given(model: str | None, model_type: str, kind: SourceKind | None = None) -> Given:
    """Return the model that the two arguments name; of the hub all but its weights.

    Args:
        model: As on the command line.
        model_type: As on the command line.
        kind: What a model of the hub must be; None: any.

    Raises:
        UsageError: No model is given, or one that is only close to a preset; or the hub
            has none of that kind, or may not be asked.
        BuildError: The files of one of the hub cannot be had.
    """
    named, presets = model_type, preset_names()
    if named in presets and named not in ARCHITECTURES:
        named = preset_model_type(named)
    architecture = None if named == _AUTO else named
    if model is None:
        if model_type not in presets:
            message = "expected a model: a folder, a file or the name of a preset"
            raise UsageError(message)
        return Given(preset_file(model_type), architecture, model_type)
    if is_remote(model) or not _names_preset(model, presets):
        return Given(folder_of(model, "texts", kind), architecture, None)
    return Given(preset_file(model), architecture, model)


def folder_of(model: str, part: Part = "all", kind: SourceKind | None = None) -> Path:
    """Return the path that ``model`` names; of the hub: where it is, once it is here.

    Args:
        model: A path, which may not exist, or what names a model of the hub.
        part: Which files of it.
        kind: What it must be; None: any.

    Raises:
        UsageError: It is empty, or the hub has no such model, or may not be asked.
        BuildError: Its files cannot be had.
    """
    if not model:
        raise UsageError("expected a model, found an empty name")
    if not is_remote(model):
        return Path(model)
    from mlcx.cli.download import obtain

    return obtain(model, part, kind=kind)


def built(model: str, library: Path | None) -> Files:
    """Return the files of the built model that a command line names.

    Args:
        model: A model directory, here or on the hub.
        library: None: the one that a package build has put beside it.

    Raises:
        InputError: There is none.
        UsageError: No library was named, and there is none to be found.
        BuildError: Files of the hub cannot be had.
    """
    from mlcx.runtime.locate import locate

    if is_remote(model) and library is None:
        message = f"no library for {model}: name one with --model-lib; mlcx compile"
        raise UsageError(f"{message} {model} --device cpu -o FILE.so makes one")
    return locate(folder_of(model, kind="mlc"), library)


def _names_preset(model: str, presets: list[str]) -> bool:
    """Say whether ``model`` is a preset; a path that exists never is.

    Raises:
        UsageError: It is not, but close to one.
    """
    path = Path(model)
    if path.exists() or len(path.parts) != 1 or path.suffix == ".json":
        return False
    if model not in presets and difflib.get_close_matches(model, presets):
        raise UsageError.unknown("file, folder or preset", model, presets)
    return model in presets
