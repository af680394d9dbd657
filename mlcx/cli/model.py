"""Which model a verb is given: a path, or the name of a preset."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import NamedTuple

from mlcx.architectures import ARCHITECTURES
from mlcx.errors import UsageError
from mlcx.presets import preset_file, preset_model_type, preset_names

__all__ = ["Given", "given", "model_arguments"]

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
        help=f"{meaning}; or, where no such file or folder is, the name of a preset, "
        "such as llama2_7b",
    )
    parser.add_argument(
        "--model-type",
        default=_AUTO,
        metavar="T",
        help="architecture, or a preset that has it; auto: what the config says; "
        f"a preset stands for {name.upper()} too when that is left out",
    )


def given(model: str | None, model_type: str) -> Given:
    """Return the model that the two arguments name.

    Raises:
        UsageError: No model is given, or one that is only close to a preset.
    """
    named, presets = model_type, preset_names()
    if named in presets and named not in ARCHITECTURES:
        named = preset_model_type(named)
    kind = None if named == _AUTO else named
    if model is None:
        if model_type not in presets:
            message = "expected a model: a folder, a file or the name of a preset"
            raise UsageError(message)
        return Given(preset_file(model_type), kind, model_type)
    if not _names_preset(model, presets):
        return Given(Path(model), kind, None)
    return Given(preset_file(model), kind, model)


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
