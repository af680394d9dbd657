"""What the schema of a package config cannot check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlcx.artifact import APP_CONFIG
from mlcx.errors import Problem, UsageError
from mlcx.spec.folder import ModelFolder, is_file, lacks
from mlcx.spec.prefix import canonical_prefix
from mlcx.spec.recipes import of_fit, of_quantization, of_weights, recipe_problems
from mlcx.spec.resolve import library_name, local
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
from mlcx.spec.violations import did_you_mean

__all__ = ["package_problems"]

_LIBRARIES = "model_lib_path_for_prepare_libs"
_OF_CHECKPOINTS = {"conv_template": "conversation template", "float32": "weights"}
"""What an entry says of a checkpoint alone, and what else a model directory has."""

_WHY_BUNDLE = "the app can reach a local model only in its bundle"


def package_problems(checked: Checked) -> Iterator[Problem]:
    """Yield every problem, in no order."""
    yield from _ids(checked)
    yield from _libraries(checked)
    yield from recipe_problems(checked)
    yield from _symbols(checked)
    for steps, entry in checked.items("model_list"):
        if checked.has(steps, entry, "model_lib") and entry["model_lib"]:
            yield from of_name(checked, (*steps, "model_lib"), entry["model_lib"])
        ready = _is_ready(checked, entry)
        model, problems = model_of(checked, steps, entry, ready)
        yield from problems
        yield from of_host(checked, steps, entry)
        yield from of_archs(checked, steps, entry)
        yield from of_overrides(checked, steps, entry, None if ready else model)
        yield from of_verify(checked, steps, entry)
        if model is not None:
            yield from _bundling(checked, steps, entry, model)
            yield from _scheme_and_template(checked, steps, entry, model)
            yield from _verifying(checked, steps, entry, model)


def _ids(checked: Checked) -> Iterator[Problem]:
    first: dict[str, Steps] = {}
    for steps, entry in checked.items("model_list"):
        if not checked.has(steps, entry, "model_id"):
            continue
        model_id, at = entry["model_id"], (*steps, "model_id")
        yield from of_name(checked, at, model_id)
        if model_id.lower() == APP_CONFIG:
            message = f"{APP_CONFIG} is the name of a file in the same folder"
            yield checked.source.problem(at, f"{message}: choose another")
        # Two names that differ in case alone are one folder on macOS and Windows.
        earlier = first.setdefault(model_id.lower(), at)
        if earlier is not at:
            line = checked.source.line(earlier)
            message = f"the model_id {quote(model_id)} is taken, in line {line}"
            yield checked.source.problem(at, f"{message}: choose another")


def _symbols(checked: Checked) -> Iterator[Problem]:
    """Refuse names of static libraries by which their symbols cannot be told."""
    device = checked.device((), checked.source.value)
    if device is None or not device.static:
        return
    why = f"{device.name} libraries are found by their symbols"
    first: dict[str, str] = {}
    for steps, entry in checked.items("model_list"):
        given = entry.get("model_lib")
        key, way_out = ("model_lib", "choose another") if given else _UNNAMED
        if not checked.has(steps, entry, key):
            continue
        name = library_name(entry)
        try:
            earlier = first.setdefault(canonical_prefix(name), name)
            problem = "" if earlier == name else _same_symbols(name, earlier)
        except UsageError as error:
            problem = str(error)
        if problem:
            message = f"{why}: {problem}: {way_out}"
            yield checked.source.problem((*steps, key), message)


_UNNAMED = ("model_id", "give model_lib")


def _same_symbols(name: str, earlier: str) -> str:
    prefix = quote(canonical_prefix(name))
    return f"those of {quote(name)} and of {quote(earlier)} would begin with {prefix}"


def _libraries(checked: Checked) -> Iterator[Problem]:
    if not checked.has((), checked.source.value, _LIBRARIES):
        return
    entries = [entry for _, entry in checked.items("model_list")]
    wanted = [entry.get("model_lib") for entry in entries]
    for name, path in checked.source.value[_LIBRARIES].items():
        steps = (_LIBRARIES, name)
        yield from of_name(checked, steps, name)
        if name not in wanted and (why := _mistaken(name, checked)):
            yield checked.source.problem(steps, why, at_key=True)
        yield from _library_file(checked, steps, path)


def _mistaken(name: str, checked: Checked) -> str:
    """Say why a library that no entry names is not meant so; empty: it may be.

    As in MLC it is then archived with the others, for the app to find by itself.
    """
    entries = [
        entry
        for steps, entry in checked.items("model_list")
        if checked.has(steps, entry, "model_id")
        and checked.sound((*steps, "model_lib"))
    ]
    ready = checked.source.value[_LIBRARIES]
    given = [each["model_lib"] for each in entries if each.get("model_lib")]
    hint = did_you_mean(name, [each for each in given if each not in ready])
    if not hint and name.lower() in {library_name(each).lower() for each in entries}:
        hint = ", but one is compiled under that name: give it, or choose another"
    return hint and f'no entry of model_list has "model_lib": {quote(name)}{hint}'


def _is_ready(checked: Checked, entry: dict[str, Any]) -> bool:
    """Say whether the library of ``entry`` is taken over."""
    ready = checked.source.value.get(_LIBRARIES)
    return isinstance(ready, dict) and entry.get("model_lib") in ready


def _library_file(checked: Checked, steps: Steps, path: str) -> Iterator[Problem]:
    file = local(checked.folder, path)
    device = checked.device((), checked.source.value)
    if not is_file(file):
        yield checked.source.problem(steps, f"there is no file {file}")
    elif device is not None and file.suffix != device.suffix:
        message = f"expected a {device.suffix} file, as for the device {device.name}"
        yield checked.source.problem(steps, f"{message}, found {quote(path)}")


def _bundling(
    checked: Checked, steps: Steps, entry: dict[str, Any], model: ModelFolder
) -> Iterator[Problem]:
    locked = model.place.locked
    why = _WHY_BUNDLE if locked is None else locked.unreachable
    if not why and not entry.get("bundle_weight", False):
        return
    if "bundle_weight" not in entry:
        message = f'model entry: "bundle_weight" is missing: set it to true, as {why}'
        yield checked.source.problem(steps, message)
    elif entry["bundle_weight"] is False:
        message = f"expected true, as {why}, found false"
        yield checked.source.problem((*steps, "bundle_weight"), message)
    elif missing := lacks(model.place):
        message = f"there are no weights to bundle: {missing}"
        yield checked.source.problem((*steps, "model"), message)


def _scheme_and_template(
    checked: Checked, steps: Steps, entry: dict[str, Any], model: ModelFolder
) -> Iterator[Problem]:
    if model.kind == "checkpoint":
        for key, example in (("quantization", "q4f16_1"), ("conv_template", "chatml")):
            if key not in entry:
                message = f"model entry: {quote(key)} is missing, which a checkpoint"
                message += f" needs: add it, such as {quote(example)}"
                yield checked.source.problem(steps, message)
        if checked.has(steps, entry, "quantization"):
            at = (*steps, "quantization")
            name = entry["quantization"]
            yield from of_quantization(checked, at, name)
            unfit = list(of_fit(checked, at, name, model))
            yield from unfit or of_weights(checked, at, name, model)
        return
    if checked.has(steps, entry, "quantization"):
        yield from _other_scheme(checked, (*steps, "quantization"), entry, model)
    for key, own in _OF_CHECKPOINTS.items():
        if key in entry:
            message = f"an MLC model directory has its own {own}: remove this"
            yield checked.source.problem((*steps, key), message, at_key=True)


def _verifying(
    checked: Checked, steps: Steps, entry: dict[str, Any], model: ModelFolder
) -> Iterator[Problem]:
    """Refuse a ``verify`` of which nothing would come."""
    if not checked.has(steps, entry, "verify") or entry["verify"] is None:
        return
    at = (*steps, "verify")
    if _is_ready(checked, entry):
        message = f"verify: {entry['model_lib']} is taken over and not compiled here"
        yield checked.source.problem(at, f"{message}: remove this", at_key=True)
    device = checked.device((), checked.source.value)
    reason = "" if device is None else obstacle(device, entry)
    if reason:
        yield checked.source.problem(at, f"verify: {reason}: remove this", at_key=True)
    yield from of_model(checked, at, entry["verify"], model)


def _other_scheme(
    checked: Checked, steps: Steps, entry: dict[str, Any], model: ModelFolder
) -> Iterator[Problem]:
    if entry["quantization"] != model.quantization:
        message = (
            f"expected {quote(model.quantization)}, which the weights in "
            f"{entry['model']} are in, found {quote(entry['quantization'])}: "
            "remove this, or name a checkpoint"
        )
        yield checked.source.problem(steps, message)
