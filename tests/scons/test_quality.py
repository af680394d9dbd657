"""Builds that verify their libraries: what runs, what it costs, what fails."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlcx.spec.types import LibraryJob, Plan, Verify
from mlcx.steps import quality
from mlcx.steps.requests import Folders

from .project import Project, write_json

LIMITS = {"max_kl": 0.05, "min_top1": 0.9}
VERDICT = "dist/quality/{0}/{0}.so.json"
STEPS = ("reference-logits", "measure-quality", "judge-quality")


def write(project: Project, **verify: object) -> None:
    project.write_spec(
        "mlc-package-config.json", "one", "two", verify={**LIMITS, **verify}
    )


def ran(project: Project, *args: str) -> list[str]:
    """Build, and return the verbs of ours that ran, sorted."""
    return [verb for line in project.build(*args) if (verb := line.split()[0]) in STEPS]


@pytest.fixture(scope="module")
def _verified(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Project:
    folder = tmp_path_factory.mktemp("verified")
    made = Project(folder / "project", folder / "control", sources)
    made.create()
    write(made)
    assert ran(made, "-j2") == sorted(STEPS * 2)
    return made


@pytest.fixture
def verified(tmp_path: Path, _verified: Project) -> Iterator[Project]:
    """Return a project whose libraries were found good."""
    made = Project(tmp_path / "project", tmp_path / "control", _verified.sources)
    shutil.copytree(_verified.root, made.root)
    made.control.mkdir()
    yield made
    made.end()


def test_every_library_is_measured_and_judged(verified: Project) -> None:
    for name in ("one", "two"):
        verdict = json.loads((verified.root / VERDICT.format(name)).read_text())
        assert verdict["passed"]
        assert verdict["thresholds"] == LIMITS
        row = verified.report()[VERDICT.format(name)]
        assert row["status"] == "built"
        assert row["figures"]["mean_kl"] == 0.01


def test_a_second_build_measures_nothing(verified: Project) -> None:
    assert verified.build() == []


def test_a_new_threshold_judges_again_and_measures_nothing(verified: Project) -> None:
    write(verified, max_kl=0.04)
    assert ran(verified) == ["judge-quality"] * 2


def test_other_tokens_need_a_new_reference_and_compile_nothing(
    verified: Project,
) -> None:
    write(verified, tokens=64)
    found = {line.split()[0] for line in verified.build()}
    assert found == {"reference-logits", "measure-quality", "app_config"}


def test_an_edited_text_is_read_again(verified: Project) -> None:
    text = verified.root / "tale.txt"
    text.write_text("once")
    write(verified, text="tale.txt")
    assert ran(verified) == ["measure-quality"] * 2 + ["reference-logits"] * 2
    text.write_text("and again")
    os.utime(text, (time.time() + 10, time.time() + 10))
    assert ran(verified) == ["measure-quality"] * 2 + ["reference-logits"] * 2


def test_two_quantizations_of_a_checkpoint_share_one_reference(
    project: Project,
) -> None:
    entries = [
        {
            "model": "models/one",
            "model_id": f"one-{scheme}",
            "quantization": scheme,
            "conv_template": "chatml",
            "bundle_weight": True,
            "verify": LIMITS,
        }
        for scheme in ("q4f16_1", "q3f16_1")
    ]
    spec = {"device": "cpu", "model_list": entries}
    write_json(project.root / "mlc-package-config.json", spec)
    assert ran(project).count("reference-logits") == 1


def test_a_delivery_converts_the_weights_that_it_verifies_with(
    project: Project,
) -> None:
    spec = {
        "tasks": [{"model_id": "one", "model": "models/one"}],
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q4f16_1"],
        "default_verify": LIMITS,
        "binary_libs_dir": "libs",
    }
    write_json(project.root / "delivery.json", spec)
    made = project.build("delivery.json")
    assert "convert_weight build/one/verify/q4f16_1" in made
    assert (project.root / "dist/quality/one/one-q4f16_1-cpu.so.json").exists()


def test_a_library_beyond_its_threshold_fails_with_the_numbers(
    project: Project,
) -> None:
    write(project)
    project.order("bad", "quality/one/")
    done = project.scons("-k")
    assert done.returncode == 2
    message = (
        "one.so is beyond its threshold: mean KL divergence 0.5 nats per token, at "
        "most 0.05 allowed; top-1 agreement 0.75, at least 0.9 required"
    )
    assert message in done.stderr
    rows = project.report()
    for target in (VERDICT.format("one"), "dist/lib/one.so"):
        assert rows[target]["status"] == "failed"
        assert message in str(rows[target]["error"])
        assert rows[target]["figures"]["top1"] == 0.75
    for target in (VERDICT.format("two"), "dist/lib/two.so"):
        assert rows[target]["status"] == "built"
    assert not (project.root / VERDICT.format("one")).exists()


def test_a_failed_verdict_is_judged_again_until_it_is_good(project: Project) -> None:
    write(project)
    project.order("bad", "quality/one/")
    project.scons("-k")
    project.forget_calls()
    assert project.scons("-k").returncode == 2
    assert project.calls() == [f"judge-quality {VERDICT.format('one')}"]
    assert project.report()["dist/lib/one.so"]["status"] == "failed"
    write(project, max_kl=0.6, min_top1=0.5)
    ran(project)
    assert project.report()["dist/lib/one.so"]["status"] == "up to date"


def test_a_clean_removes_all_of_it(verified: Project) -> None:
    assert verified.scons("-c").returncode == 0
    assert verified.files() == {}


def test_a_reference_is_converted_without_loss_for_this_machine(
    tmp_path: Path,
) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    folders = Folders(Path("/top/dist"), Path("/top/build"))
    wanted = Verify(0.1, None, tmp_path / "tale.txt", 99, "q0f32")
    made = {each.verb: each for each in quality.reference(tmp_path, wanted, folders)}
    words = " ".join(made["convert_weight"].options)
    assert words == "--quantization q0f32 --float32 raw"
    assert made["reference-logits"].options == ("--tokens", "99")
    names = {path.name for path in made["reference-logits"].sources}
    assert {"tale.txt", "model.so", "tokenizer.json", "tensor-cache.json"} <= names
    text = dict(made["reference-logits"].files)["--text"]
    assert text == tmp_path / "tale.txt"


def test_checkpoints_of_one_name_do_not_share_a_reference() -> None:
    folders = Folders(Path("/top/dist"), Path("/top/build"))
    wanted = Verify(0.1, None, None, 99, "q0f32")
    files = {
        quality.reference_file(Path(place, "model"), wanted, folders)
        for place in ("/a", "/b")
    }
    assert len(files) == 2


def test_a_plan_without_verify_asks_for_nothing(tmp_path: Path) -> None:
    job = LibraryJob(
        "m",
        tmp_path,
        "checkpoint",
        "q4f16_1",
        "cpu",
        "O0",
        (),
        None,
        "auto",
        "auto",
        "lib/m.so",
    )
    plan = Plan(tmp_path / "s.json", "package", (), (job,), (), ())
    assert list(quality.plan(plan, Folders(tmp_path, tmp_path))) == []
