"""Two jobs for one file: once if they are the same, refused if they differ."""

from collections.abc import Callable
from typing import Any

from mlcx.spec import check, load

A = {"model_id": "a", "model": "checkpoint"}
SMALL = {"device": "cpu", "overrides": {"max_batch_size": 1}}


def test_a_job_asked_for_twice_is_done_once(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]]
) -> None:
    spec = delivery(
        tasks=[
            {**A, "quantization": ["q4f16_1"], "compile_options": [SMALL, SMALL]},
            A,
        ],
        default_compile_options=[{**SMALL, "opt": "O2", "host": "auto"}],
    )
    assert [job.library for job in load(write(spec)).libraries] == [
        "libs/a/a-q4f16_1-cpu.so"
    ]


def test_two_options_of_a_task_for_one_file_are_refused(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]]
) -> None:
    spec = delivery(tasks=[{**A, "compile_options": [SMALL]}])
    (problem,) = check([write(spec)])
    assert problem.pointer == "/tasks/0/compile_options/0"
    assert problem.message == (
        "libs/a/a-q4f16_1-cpu.so would be written for this and, differently, for line "
        "17: the name tells only model_id, quantization and device, so remove one of "
        "the two options or give it to a task with another model_id"
    )


def test_two_tasks_for_one_file_are_refused_whatever_the_case(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]]
) -> None:
    spec = delivery(tasks=[A, {"model_id": "A", "model": "mlc"}])
    (problem,) = check([write(spec)])
    assert problem.pointer == "/tasks/1"
    assert problem.message == (
        "libs/A/A-q4f16_1-cpu.so would be written for this and, differently, for line "
        "3: choose another model_id"
    )


def test_two_tasks_may_share_a_name_for_different_files(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]]
) -> None:
    second = {"model_id": "a", "model": "mlc", "quantization": ["q0f16"]}
    first = {**A, "quantization": ["q0f32"]}
    spec = delivery(tasks=[first, second], default_quantization=[])
    assert len(load(write(spec)).libraries) == 2


def test_model_ids_that_make_one_library_name_are_refused(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
) -> None:
    entries = [entry(model_id="a-b"), entry(model_id="a.B", quantization="q0f32")]
    (problem,) = check([write(package(*entries))])
    assert problem.pointer == "/model_list/1"
    assert problem.message == (
        "lib/a_B.so would be written for this and, differently, for line 4: choose "
        "another model_lib"
    )


def test_two_entries_may_share_a_library_that_is_the_same(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
) -> None:
    entries = [entry(model_id=name, model_lib="shared") for name in ("a", "b")]
    plan = load(write(package(*entries)))
    assert [job.library for job in plan.libraries] == ["lib/shared.so"]
    assert [row.model_lib for row in plan.app] == ["shared", "shared"]
    assert [job.directory for job in plan.bundles] == ["bundle/a", "bundle/b"]


def test_clashes_are_reported_beside_other_problems(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
) -> None:
    spec = package(
        entry(model="missing"),
        entry(model_id="b", model_lib="x"),
        entry(model_id="c", model_lib="x", quantization="q0f32"),
    )
    pointers = [problem.pointer for problem in check([write(spec)])]
    assert pointers == ["/model_list/0/model", "/model_list/2"]
