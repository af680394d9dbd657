"""``mlc-app-config.json``: what an app finds in its bundle, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from mlcx.artifact import write_json
from mlcx.spec.types import AppEntry

__all__ = ["write_app_config"]


def write_app_config(entries: Iterable[AppEntry], path: Path) -> None:
    """Write the rows of an app config, in MLC's order of keys, atomically.

    A key that has no value is left out.
    """
    rows = [_row(entry) for entry in entries]
    write_json(path, {"model_list": rows})


def _row(entry: AppEntry) -> dict[str, object]:
    return {key: value for key, value in asdict(entry).items() if value is not None}
