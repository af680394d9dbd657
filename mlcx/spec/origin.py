"""Where in a spec a value stands that went into a job, for messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlcx.spec.options import text_of
from mlcx.spec.source import Source, Steps

__all__ = ["origin"]


def origin(
    source: Source, model_id: str, device: str | None, key: str, new: str
) -> str:
    """Say where ``source`` gives ``key`` the value ``new``; empty: nowhere.

    Args:
        source: A spec that is valid.
        model_id: The model of the job.
        device: Its device; None: any.
        key: A key of overrides, of a model entry or of a compile option.
        new: The value as a command line takes it.
    """
    for steps, owner, what in _places(source.value, model_id, device):
        if key in owner and text_of(owner[key]) == new:
            return f"{what} in {source.file}:{source.line((*steps, key))}"
    return ""


def _places(
    spec: Mapping[str, Any], model_id: str, device: str | None
) -> Iterator[tuple[Steps, Mapping[str, Any], str]]:
    """Yield all that may hold values for a job: steps to it, itself, its name."""
    for number, entry in enumerate(spec.get("model_list", ())):
        if entry["model_id"] == model_id:
            name = f"model {model_id}"
            yield from _with_overrides(("model_list", number), entry, name)
    options: list[tuple[Steps, Any, str]] = [
        (("default_compile_options", number), option, f"option {number + 1} of all")
        for number, option in enumerate(spec.get("default_compile_options", ()))
    ]
    for index, task in enumerate(spec.get("tasks", ())):
        if task["model_id"] == model_id:
            yield ("tasks", index), task, f"task {model_id}"
            options += [
                (
                    ("tasks", index, "compile_options", number),
                    option,
                    f"option {number + 1} of task {model_id}",
                )
                for number, option in enumerate(task.get("compile_options", ()))
            ]
    for steps, option, name in options:
        if device in {None, option["device"]}:
            yield from _with_overrides(steps, option, name)
    yield (), spec, "the spec"


def _with_overrides(
    steps: Steps, owner: Mapping[str, Any], name: str
) -> Iterator[tuple[Steps, Mapping[str, Any], str]]:
    yield (*steps, "overrides"), owner.get("overrides", {}), f"overrides of {name}"
    yield steps, owner, name
