"""What is refused of ``verify`` before any work, and what it resolves to."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.runtime import device as runtime
from mlcx.spec import check, load
from mlcx.spec.devices import DEVICES, Device
from mlcx.spec.types import Verify
from mlcx.spec.verify_rules import RUNNABLE, obstacle

Make = Callable[..., dict[str, Any]]
ELSEWHERE = (
    "x86_64-linux-gnu" if platform.machine() == "aarch64" else "aarch64-linux-gnu"
)
GOOD = {"max_kl": 0.05}

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing asked": (
        {"verify": {"tokens": 9}},
        "/model_list/0/verify",
        'verify: expected "max_kl" or "min_top1", found neither: add one',
    ),
    "an unknown key": (
        {"verify": {**GOOD, "maxkl": 1}},
        "/model_list/0/verify/maxkl",
        'verify: unknown key "maxkl": expected one of "max_kl", "min_top1", "text", '
        '"tokens", "reference"',
    ),
    "a share above one": (
        {"verify": {"min_top1": 90}},
        "/model_list/0/verify/min_top1",
        "min_top1: expected at most 1, found 90",
    ),
    "a divergence below zero": (
        {"verify": {"max_kl": -1}},
        "/model_list/0/verify/max_kl",
        "max_kl: expected at least 0, found -1",
    ),
    "a scheme that quantizes": (
        {"verify": {**GOOD, "reference": "q4f16_1"}},
        "/model_list/0/verify/reference",
        'reference: expected one of "q0f32", "q0f16", "q0bf16", found "q4f16_1": '
        'did you mean "q0f16"?',
    ),
    "no object": (
        {"verify": True},
        "/model_list/0/verify",
        "verify: expected an object {…} or null, found true",
    ),
    "no such text": (
        {"verify": {**GOOD, "text": "tale.txt"}, "model": "readable"},
        "/model_list/0/verify/text",
        "there is no file {here}/tale.txt",
    ),
    "a folder as text": (
        {"verify": {**GOOD, "text": "readable"}, "model": "readable"},
        "/model_list/0/verify/text",
        "{here}/readable: expected a file, found a folder",
    ),
    "no text at all": (
        {"verify": {**GOOD, "text": "binary"}, "model": "readable"},
        "/model_list/0/verify/text",
        "{here}/binary is no UTF-8 text",
    ),
    "no tokenizer": (
        {"verify": {**GOOD, "text": "spec.json"}},
        "/model_list/0/verify",
        "verify: {here}/checkpoint has no tokenizer.json to read a text with: add it, "
        "or remove text and compare on ids drawn at random",
    ),
    "a model directory": (
        {
            "verify": GOOD,
            "model": "mlc",
            "quantization": ...,
            "conv_template": ...,
        },
        "/model_list/0/verify",
        "verify: {here}/mlc is an MLC model directory, so there are no weights from "
        "before quantization to compare with: name a checkpoint, or remove this",
    ),
    "a host that is not here": (
        {"verify": GOOD, "host": ELSEWHERE},
        "/model_list/0/verify",
        f'verify: cannot verify the host "{ELSEWHERE}" on this machine, a '
        f"{platform.machine()} {sys.platform}: remove this",
    ),
}


@pytest.fixture(autouse=True)
def _readable(here: Path) -> None:
    folder = shutil.copytree(here / "checkpoint", here / "readable")
    (folder / "tokenizer.json").write_text("{}")
    (here / "binary").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_verify_is_explained(
    write: Callable[..., str], package: Make, entry: Make, here: Path, case: str
) -> None:
    change, pointer, message = WRONG[case]
    (problem,) = check([write(package(entry(**change)))])
    assert (problem.pointer, problem.message) == (
        pointer,
        message.replace("{here}", str(here)),
    )
    assert problem.line


def test_a_library_that_is_not_compiled_is_not_verified(
    write: Callable[..., str], package: Make, entry: Make, here: Path
) -> None:
    (here / "ready.so").write_text("")
    ready = {"model_lib_path_for_prepare_libs": {"ready": "ready.so"}}
    spec = package(entry(model_lib="ready", verify=GOOD), **ready)
    (problem,) = check([write(spec)])
    assert problem.message == (
        "verify: ready is taken over and not compiled here: remove this"
    )


def test_what_is_left_out_has_defaults(
    write: Callable[..., str], package: Make, entry: Make
) -> None:
    (job,) = load(write(package(entry(verify={"min_top1": 1})))).libraries
    assert job.verify == Verify(None, 1.0, None, 512, "q0f32")


def test_a_text_is_relative_to_the_spec(
    write: Callable[..., str], package: Make, entry: Make, here: Path
) -> None:
    (here / "tale.txt").write_text("once")
    verify = {**GOOD, "text": "tale.txt", "tokens": 9.0, "reference": "q0f16"}
    spec = write(package(entry(model="readable", verify=verify)))
    (job,) = load(spec).libraries
    assert job.verify == Verify(0.05, None, here / "tale.txt", 9, "q0f16")


@pytest.mark.parametrize(
    ("task", "option", "found"),
    [
        ({}, {}, 1.0),
        ({"verify": {"max_kl": 2}}, {}, 2.0),
        ({"verify": {"max_kl": 2}}, {"verify": {"max_kl": 3}}, 3.0),
        ({"verify": None}, {}, None),
        ({}, {"verify": None}, None),
    ],
)
def test_the_nearest_verify_of_a_delivery_counts(
    write: Callable[..., str],
    delivery: Make,
    task: dict[str, Any],
    option: dict[str, Any],
    found: float | None,
) -> None:
    spec = delivery(
        tasks=[{"model_id": "a", "model": "checkpoint", **task}],
        default_compile_options=[{"device": "cpu", **option}],
        default_verify={"max_kl": 1},
    )
    (job,) = load(write(spec)).libraries
    assert (job.verify and job.verify.max_kl) == found


def test_a_delivery_for_a_device_that_cannot_run_here_is_refused_before_any_work(
    write: Callable[..., str], delivery: Make
) -> None:
    options = [{"device": "cpu"}, {"device": "cpu", "host": ELSEWHERE}]
    spec = delivery(default_compile_options=options, default_verify=GOOD)
    (problem,) = check([write(spec)])
    assert problem.pointer == "/default_compile_options/1"
    assert problem.message.endswith(': write "verify": null into this compile option')


def test_a_delivery_of_a_checkpoint_without_weights_is_refused_where_it_says_verify(
    write: Callable[..., str], delivery: Make, here: Path
) -> None:
    task = {"model_id": "a", "model": "unweighted", "verify": GOOD}
    (problem,) = check([write(delivery(tasks=[task]))])
    assert problem.pointer == "/tasks/0/verify"
    found = f"verify: there are no weights to run: {here}/unweighted has no model."
    assert problem.message.startswith(found)


def test_what_can_be_run_is_what_the_runtime_runs() -> None:
    assert set(runtime.DEVICES) == RUNNABLE


def test_a_device_that_the_runtime_lacks_is_named() -> None:
    phone = Device("phone", ".tar", static=True)
    assert obstacle(phone, {}) == ("cannot verify phone on this machine: mlcx runs cpu")


def test_this_machine_may_be_named() -> None:
    system = {"linux": "linux-gnu", "darwin": "apple-darwin"}[sys.platform]
    here = f"{platform.machine()}-{system}"
    assert obstacle(DEVICES["cpu"], {"host": here}) == ""
    assert obstacle(DEVICES["cpu"], {"host": here.replace("gnu", "android")}) != ""
