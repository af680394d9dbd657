"""Deliveries: all models, quantizations and devices, as far as they can be built."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .project import Project, write_json

SPEC = "delivery.json"


def write_spec(project: Project, **changes: Any) -> None:
    """Write a spec as MLC's own, for models that there are."""
    tasks = [
        {
            "model_id": "one",
            "model": "models/one",
            "compile_options": [
                {"device": "android", "overrides": {"prefill_chunk_size": 32}},
                {"device": "cpu"},
            ],
            "quantization": ["q0f32", "q4f16_1"],
        },
        {"model_id": "two", "model": "models/two"},
    ]
    spec = {
        "tasks": tasks,
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q4f16_1"],
        "binary_libs_dir": "libs",
    }
    write_json(project.root / SPEC, {**spec, **changes})


@pytest.fixture
def delivery(project: Project) -> Project:
    write_spec(project)
    return project


def test_defaults_and_a_tasks_own_are_joined_and_each_is_built_once(
    delivery: Project,
) -> None:
    calls = [call for call in delivery.build(SPEC, "-j2") if "compile " in call]
    names = ("one-q0f32-android.tar", "one-q0f32-cpu.so")
    names += ("one-q4f16_1-android.tar", "one-q4f16_1-cpu.so")
    expected = [f"compile dist/libs/one/{name}" for name in names]
    assert calls == [*expected, "compile dist/libs/two/two-q4f16_1-cpu.so"]
    folder = delivery.root / "dist/libs"
    found = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert found == [*names, "two-q4f16_1-cpu.so"]
    assert delivery.build(SPEC) == []


def test_what_failed_is_listed_at_the_end_with_all_that_tells_it_apart(
    delivery: Project,
) -> None:
    delivery.order("fail", "q4f16_1-android", "two-")
    done = delivery.scons(SPEC, "-k", "-Q")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-3:] == [
        "mlcx: failed: compile dist/libs/one/one-q4f16_1-android.tar (one, q4f16_1, "
        "android, prefill_chunk_size=32): "
        "build/log/dist/libs/one/one-q4f16_1-android.tar.log",
        "mlcx: failed: compile dist/libs/two/two-q4f16_1-cpu.so (two, q4f16_1, cpu): "
        "build/log/dist/libs/two/two-q4f16_1-cpu.so.log",
        f"mlcx: {len(delivery.calls()) - 2} built, 2 failed, see dist/report.json",
    ]
    left = [path for path in delivery.root.rglob(".*.????????") if path.is_file()]
    assert [path for path in left if path.name != ".sconsign.dblite"] == []


def test_two_libraries_for_one_file_are_refused_before_anything_runs(
    delivery: Project,
) -> None:
    options = [{"device": "cpu"}, {"device": "cpu", "overrides": {"max_batch_size": 2}}]
    write_spec(delivery, default_compile_options=options)
    done = delivery.scons(SPEC)
    assert done.returncode == 2
    assert "would be written for this and, differently, for line" in done.stderr
    assert delivery.calls() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["deliver", "--spec", "nope.json"], "nope.json: there is no such file"),
        (
            ["package", "--package-config", SPEC],
            "mlcx: delivery.json: expected a package config, found a delivery spec",
        ),
        (["package", "--package-config", "no.json"], "no.json: there is no such file"),
        (
            ["package", "--mlc-llm-source-dir", "nowhere"],
            "mlcx: MLC_LLM_SOURCE_DIR: expected a folder with ios/prepare_libs.sh, "
            "found '{root}/nowhere': name a checkout of MLC LLM",
        ),
    ],
)
def test_a_wrong_spec_or_folder_is_one_line_and_status_2(
    delivery: Project, words: list[str], message: str
) -> None:
    path = delivery.root / "mlc-package-config.json"
    write_json(path, {**json.loads(path.read_text()), "device": "iphone"})
    command = [sys.executable, "-m", "mlcx", *words]
    done = subprocess.run(
        command, cwd=delivery.root, capture_output=True, text=True, check=False
    )
    expected = message.format(root=Path(delivery.root).resolve())
    assert (done.returncode, done.stderr, done.stdout) == (2, f"{expected}\n", "")
