"""Presets: configs of published models, to compile for without their checkpoints.

One JSON file each in this folder, in the keys of a Hugging Face ``config.json``; names
that MLC LLM has too mean the same there.
"""

from __future__ import annotations

import json
from pathlib import Path

from mlcx.errors import UsageError

__all__ = ["preset_file", "preset_model_type", "preset_names"]

_FOLDER = Path(__file__).parent


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def preset_file(name: str) -> Path:
    """Return the config file of a preset.

    Raises:
        UsageError: There is none of that name; the message names those that exist.
    """
    names = preset_names()
    if name not in names:
        raise UsageError.unknown("preset", name, names)
    return _FOLDER / f"{name}.json"


def preset_model_type(name: str) -> str:
    """Return the architecture of a preset.

    Raises:
        UsageError: As `preset_file`.
    """
    content: dict[str, str] = json.loads(preset_file(name).read_bytes())
    return content["model_type"]
