"""What only a look at the whole delivery spec, or at the models, can refuse."""

from collections.abc import Callable
from typing import Any

import pytest

from mlcx.spec import check

TASK = {"model_id": "a", "model": "checkpoint"}
OUTSIDE = "expected a folder inside the output folder, found"
SINK = (
    "attention_sink_size 4 needs a sliding window, and neither the overrides nor the "
    "model set one: add sliding_window_size or remove this"
)

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a folder outside": (
        {"binary_libs_dir": "../libs"},
        "/binary_libs_dir",
        f'{OUTSIDE} "../libs"',
    ),
    "a folder of the machine": (
        {"binary_libs_dir": "/tmp/libs"},
        "/binary_libs_dir",
        f'{OUTSIDE} "/tmp/libs"',
    ),
    "a folder that turns out outside": (
        {"binary_libs_dir": "a/../.."},
        "/binary_libs_dir",
        f'{OUTSIDE} "a/../.."',
    ),
    "a folder named as the report": (
        {"binary_libs_dir": "Report.json/a"},
        "/binary_libs_dir",
        '"Report.json" is the name of a file of mlcx\'s own there: choose another',
    ),
    "a prefix for a shared library": (
        {"default_compile_options": [{"device": "cpu", "system_lib_prefix": "a_"}]},
        "/default_compile_options/0/system_lib_prefix",
        "libraries for the device cpu are shared, so their symbols carry no prefix: "
        "remove system_lib_prefix",
    ),
    "no way to compile": (
        {"default_compile_options": []},
        "/tasks/0",
        "this task makes no library: default_compile_options is empty and it has no "
        "compile_options: add some",
    ),
    "no quantization": (
        {"default_quantization": []},
        "/tasks/0",
        "this task makes no library: default_quantization is empty and it has no "
        "quantization: add some",
    ),
    "a device of Windows": (
        {"tasks": [{**TASK, "model_id": "aux"}]},
        "/tasks/0/model_id",
        '"aux" is no file name on Windows: choose another',
    ),
    "no model": (
        {"tasks": [{**TASK, "model": "HF://a/b"}]},
        "/tasks/0/model",
        "HF://a/b is not pinned yet: run mlcx lock spec.json",
    ),
    "overrides of a task": (
        {
            "tasks": [
                {
                    **TASK,
                    "compile_options": [
                        {"device": "cpu", "overrides": {"attention_sink_size": 4}}
                    ],
                }
            ],
            "default_compile_options": [],
        },
        "/tasks/0/compile_options/0/overrides/attention_sink_size",
        SINK,
    ),
    "overrides of all": (
        {
            "default_compile_options": [
                {"device": "cpu", "overrides": {"attention_sink_size": 4}}
            ]
        },
        "/default_compile_options/0/overrides/attention_sink_size",
        SINK,
    ),
    "overrides of all that a model cannot follow": (
        {
            "default_compile_options": [
                {"device": "cpu", "overrides": {"sliding_window_size": 8}}
            ]
        },
        "/default_compile_options/0/overrides/sliding_window_size",
        "sliding_window_size for a: llama has no such field",
    ),
    "overrides of a task that a model cannot follow": (
        {
            "tasks": [
                {
                    **TASK,
                    "compile_options": [
                        {"device": "cpu", "overrides": {"tensor_parallel_shards": 2}}
                    ],
                }
            ],
        },
        "/tasks/0/compile_options/0/overrides/tensor_parallel_shards",
        "tensor_parallel_shards: expected 1, as libraries are for one device, found 2",
    ),
}


@pytest.mark.parametrize(("change", "pointer", "message"), WRONG.values(), ids=WRONG)
def test_a_delivery_that_breaks_a_rule_is_explained(
    write: Callable[..., str],
    delivery: Callable[..., dict[str, Any]],
    change: dict[str, Any],
    pointer: str,
    message: str,
) -> None:
    (problem,) = check([write(delivery(**change))])
    assert (problem.pointer, problem.message) == (pointer, message)


def test_a_model_with_a_window_takes_sinks(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]]
) -> None:
    option = {"device": "cpu", "overrides": {"attention_sink_size": 4}}
    tasks = [{"model_id": "a", "model": "windowed"}]
    spec = delivery(tasks=tasks, default_compile_options=[option])
    assert check([write(spec)]) == []


def test_a_library_of_an_mlc_model_may_be_of_another_scheme(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]]
) -> None:
    tasks = [{"model_id": "a", "model": "weightless", "quantization": ["q0f32"]}]
    assert check([write(delivery(tasks=tasks))]) == []
