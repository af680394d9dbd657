"""What the schema of a delivery spec cannot check."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlcx.artifact import LOCK, MANIFEST, REPORTS
from mlcx.errors import Problem
from mlcx.spec.folder import ModelFolder
from mlcx.spec.recipes import of_fit, of_quantization, of_weights, recipe_problems
from mlcx.spec.resolve import verify_of
from mlcx.spec.rules import (
    Checked,
    model_of,
    of_archs,
    of_host,
    of_name,
    of_overrides,
)
from mlcx.spec.source import Steps, quote
from mlcx.spec.verify_rules import obstacle, of_model, of_verify

__all__ = ["delivery_problems"]

_DEFAULTS = "default_compile_options"
_OURS = {LOCK, MANIFEST, *REPORTS}
"""Files that a build writes in the output folder."""


def delivery_problems(checked: Checked) -> Iterator[Problem]:
    """Yield every problem, in no order."""
    yield from _folder(checked)
    yield from recipe_problems(checked)
    yield from _quantizations(checked, ("default_quantization",))
    yield from of_verify(checked, (), checked.source.value, "default_verify")
    for steps, task in checked.items("tasks"):
        if checked.has(steps, task, "model_id"):
            yield from of_name(checked, (*steps, "model_id"), task["model_id"])
        yield from _nothing_to_do(checked, steps, task)
        yield from _quantizations(checked, (*steps, "quantization"))
        model, problems = model_of(checked, steps, task)
        yield from problems
        yield from of_verify(checked, steps, task)
        own = list(checked.items(*steps, "compile_options"))
        shared = list(checked.items(_DEFAULTS))
        for at, option in own:
            yield from _option(checked, at, option)
            yield from of_overrides(checked, at, option, model)
        if model is not None:
            for at, option in shared:
                name = str(task.get("model_id"))
                yield from of_overrides(checked, at, option, model, name)
            for key in (("default_quantization",), (*steps, "quantization")):
                for at, scheme in checked.texts(*key):
                    yield from of_fit(checked, at, scheme, model)
            yield from _verifying(checked, steps, task, model, [*shared, *own])
    for at, option in checked.items(_DEFAULTS):
        yield from _option(checked, at, option)


def _folder(checked: Checked) -> Iterator[Problem]:
    if not checked.has((), checked.source.value, "binary_libs_dir"):
        return
    path = checked.source.value["binary_libs_dir"]
    folder = Path(os.path.normpath(path))
    if folder.is_absolute() or folder.parts[:1] == ("..",):
        message = f"expected a folder inside the output folder, found {quote(path)}"
        yield checked.source.problem(("binary_libs_dir",), message)
    if folder.parts and folder.parts[0].lower() in _OURS:
        message = f"{quote(folder.parts[0])} is the name of a file of mlcx's own there"
        yield checked.source.problem(("binary_libs_dir",), f"{message}: choose another")
    for name in Path(path).parts:
        yield from of_name(checked, ("binary_libs_dir",), name)


def _quantizations(checked: Checked, steps: Steps) -> Iterator[Problem]:
    for at, name in checked.texts(*steps):
        yield from of_quantization(checked, at, name)


def _nothing_to_do(
    checked: Checked, steps: Steps, task: dict[str, Any]
) -> Iterator[Problem]:
    """Refuse a task of which no library would come."""
    spec = checked.source.value
    for default, own in (
        (_DEFAULTS, "compile_options"),
        ("default_quantization", "quantization"),
    ):
        if spec.get(default) == [] and not task.get(own):
            message = f"this task makes no library: {default} is empty and it has no"
            yield checked.source.problem(steps, f"{message} {own}: add some")


def _option(
    checked: Checked, steps: Steps, option: dict[str, Any]
) -> Iterator[Problem]:
    yield from of_host(checked, steps, option)
    yield from of_archs(checked, steps, option)
    yield from of_verify(checked, steps, option)
    device = checked.device(steps, option)
    if device is not None and not device.static and "system_lib_prefix" in option:
        message = (
            f"libraries for the device {device.name} are shared, so their symbols "
            "carry no prefix: remove system_lib_prefix"
        )
        at = (*steps, "system_lib_prefix")
        yield checked.source.problem(at, message, at_key=True)


def _verifying(
    checked: Checked,
    steps: Steps,
    task: dict[str, Any],
    model: ModelFolder,
    options: list[tuple[Steps, dict[str, Any]]],
) -> Iterator[Problem]:
    """Refuse to verify what cannot be run here, or compared with anything."""
    spec = checked.source.value
    for at, option in options:
        owners = ((at, option, "verify"), (steps, task, "verify"))
        places = (*owners, ((), spec, "default_verify"))
        place, verify = verify_of(places)
        device = checked.device(at, option)
        if verify is None or device is None or not checked.sound(place):
            continue
        if reason := obstacle(device, option):
            message = f'{reason}: write "verify": null into this compile option'
            yield checked.source.problem(at, message)
        lacking = list(of_model(checked, place, verify, model))
        yield from lacking
        if lacking:
            continue
        for key in (("default_quantization",), (*steps, "quantization")):
            for named, scheme in checked.texts(*key):
                yield from of_weights(checked, named, scheme, model)
