"""What a schema cannot check and both kinds of spec share: names and models.

A rule looks only at values that the schema found sound, so that one file's violations
of both kinds are reported together and none is reported twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mlcx.errors import InputError, Problem, UsageError
from mlcx.spec.devices import Device, device_of
from mlcx.spec.folder import ModelFolder, is_file, is_folder, look_into
from mlcx.spec.hub import is_remote
from mlcx.spec.model_config import override_problems
from mlcx.spec.options import archs_for
from mlcx.spec.overrides import contradictions, whole
from mlcx.spec.resolve import Places, local, place_of
from mlcx.spec.source import Source, Steps, describe, pointer, quote
from mlcx.spec.violations import did_you_mean

__all__ = [
    "Checked",
    "model_of",
    "of_archs",
    "of_host",
    "of_name",
    "of_overrides",
]

_LONGEST = 200
"""Bytes of a name, so that a suffix and a temporary one still fit."""

_WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10)}
)


@dataclass(frozen=True)
class Checked:
    """A spec that a schema has been held against."""

    source: Source
    faulty: frozenset[str]
    """Pointers to what violates the schema."""

    @cached_property
    def folder(self) -> Path:
        """The absolute folder of the spec, which its paths are relative to."""
        return Path(os.path.abspath(self.source.file)).parent  # noqa: PTH100

    @cached_property
    def place(self) -> Places:
        """Finds the model of that name, once: a release names each many times."""
        return cache(lambda model: place_of(model, self.folder))

    @cached_property
    def look(self) -> Callable[[str, bool], ModelFolder | None]:
        """Looks at the model of that name, once too."""

        @cache
        def look(model: str, ready: bool) -> ModelFolder | None:
            place = self.place(model)
            return None if place is None else look_into(place, ready)

        return look

    def sound(self, steps: Steps) -> bool:
        """Say whether neither the value at ``steps`` nor any part of it is faulty."""
        start = pointer(steps)
        return not any(
            fault == start or fault.startswith(f"{start}/") for fault in self.faulty
        )

    def items(self, *steps: str | int) -> Iterator[tuple[Steps, dict[str, Any]]]:
        """Yield the objects in the list at ``steps``, if there is one."""
        for at, each in self._elements(steps):
            if isinstance(each, dict):
                yield at, each

    def texts(self, *steps: str | int) -> Iterator[tuple[Steps, str]]:
        """Yield the sound texts in the list at ``steps``, if there is one."""
        for at, each in self._elements(steps):
            if isinstance(each, str) and self.sound(at):
                yield at, each

    def _elements(self, steps: Steps) -> Iterator[tuple[Steps, Any]]:
        value: Any = self.source.value
        for step in steps:
            value = value[step] if isinstance(step, int) else value.get(step)
        for index, each in enumerate(value if isinstance(value, list) else ()):
            yield (*steps, index), each

    def has(self, steps: Steps, entry: dict[str, Any], key: str) -> bool:
        """Say whether ``entry``, at ``steps``, has a sound value for ``key``."""
        return key in entry and self.sound((*steps, key))

    def device(self, steps: Steps, entry: dict[str, Any]) -> Device | None:
        """Return the device that ``entry`` names, if it names one rightly."""
        sound = self.has(steps, entry, "device")
        return device_of(entry["device"]) if sound else None


def of_name(checked: Checked, steps: Steps, name: str) -> Iterator[Problem]:
    """Refuse a name that is no file name everywhere, on Windows above all."""
    reserved = name.partition(".")[0].lower() in _WINDOWS_DEVICES
    if reserved or (name.endswith((".", " ")) and name not in {".", ".."}):
        message = f"{quote(name)} is no file name on Windows: choose another"
        yield checked.source.problem(steps, message)
    if len(name.encode()) > _LONGEST:
        message = f"{describe(name)} is too long for a file name: choose another"
        yield checked.source.problem(steps, message)


def of_archs(
    checked: Checked, steps: Steps, entry: dict[str, Any]
) -> Iterator[Problem]:
    """Refuse architectures of ``entry`` that are unknown, or not its device's."""
    device = _device_of(checked, steps, entry)
    if device is None or not checked.has(steps, entry, "archs"):
        return
    try:
        archs_for(device, entry["archs"])
    except UsageError as error:
        yield checked.source.problem((*steps, "archs"), str(error))


def of_host(checked: Checked, steps: Steps, entry: dict[str, Any]) -> Iterator[Problem]:
    """Refuse a host of ``entry`` on which its device cannot be."""
    device = _device_of(checked, steps, entry)
    if device is None or not checked.has(steps, entry, "host"):
        return
    try:
        device.host_for(entry["host"])
    except UsageError as error:
        yield checked.source.problem((*steps, "host"), str(error))


def _device_of(checked: Checked, steps: Steps, entry: dict[str, Any]) -> Device | None:
    """Return the device of ``entry``, its own or the spec's, if that is sound."""
    owner = entry if "device" in entry else checked.source.value
    return checked.device(steps if owner is entry else (), owner)


def of_overrides(
    checked: Checked,
    steps: Steps,
    entry: dict[str, Any],
    model: ModelFolder | None,
    name: str = "",
) -> Iterator[Problem]:
    """Refuse overrides of ``entry`` that contradict each other or the model.

    Args:
        checked: The spec.
        steps: To ``entry``.
        entry: What has them.
        model: None: any that has no window.
        name: The model's, where the entry is not of it alone.
    """
    overrides, at = {}, steps
    if checked.has(steps, entry, "overrides"):
        overrides, at = entry["overrides"], (*steps, "overrides")
    has_window = model is not None and model.has_window
    found = list(contradictions(overrides, has_window))
    yield from (checked.source.problem((*at, key), why) for key, why in found)
    if model is None or found:
        return
    where = f" for {name}" if name else ""
    fields = {key: each for key, each in whole(overrides).items() if key != "opt"}
    for key, why in override_problems(model.config, fields):
        message = f"{why}{where}" if key is None else f"{key}{where}: {why}"
        yield checked.source.problem(at if key is None else (*at, key), message)


def model_of(
    checked: Checked, steps: Steps, entry: dict[str, Any], ready: bool = False
) -> tuple[ModelFolder | None, tuple[Problem, ...]]:
    """Return what the model of ``entry`` is, or why it cannot be used.

    ``ready`` says that its library is not compiled here.
    """
    if not checked.has(steps, entry, "model"):
        return None, ()
    try:
        found = checked.look(entry["model"], ready)
        if found is not None:
            return found, ()
        message = _why_no_model(entry["model"], checked)
    except UsageError as error:
        message = str(error)
    except InputError as error:
        return None, error.problems
    return None, (checked.source.problem((*steps, "model"), message),)


def _why_no_model(model: str, checked: Checked) -> str:
    if is_remote(model):
        return f"{model} is not pinned yet: run mlcx lock {checked.source.file}"
    folder = local(checked.folder, model)
    if is_file(folder):
        return f"expected a folder, found the file {folder}: name the folder it is in"
    if not is_folder(folder):
        hint = did_you_mean(folder.name, _folders_beside(folder))
        return f"there is no folder {folder}{hint}"
    if not os.access(folder, os.R_OK | os.X_OK):
        return f"the folder {folder} cannot be read: Permission denied"
    return (
        f"the folder {folder} holds neither config.json, as a Hugging Face checkpoint "
        "does, nor mlc-chat-config.json, as an MLC model directory does"
    )


def _folders_beside(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.parent.iterdir() if is_folder(each))
    except OSError:
        return []
