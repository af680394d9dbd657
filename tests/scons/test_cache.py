"""The cache that builds share: what comes from it, what does not, what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from .project import PATIENCE, Project, wait_for
from .test_builds import COMPILE_ONE
from .test_failures import waiting

LIBRARIES = ("dist/lib/one.so", "dist/lib/two.so")
TAKEN = ("gen_config", "normalize", "compile")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def filled(built: Project, template: Project, folder: Path) -> Project:
    """Return a project whose build has filled the cache."""
    shutil.copytree(template.control / "home/build_cache", folder)
    return built


@pytest.fixture
def other(filled: Project, tmp_path: Path) -> Project:
    """Return the same project elsewhere, of which nothing is built."""
    made = Project(tmp_path / "deep/er/other", tmp_path / "others", filled.sources)
    made.root.parent.mkdir(parents=True)
    made.create()
    return made


def statuses(project: Project) -> dict[str, object]:
    return {target: row["status"] for target, row in project.report().items()}


def contents(folder: Path) -> list[Path]:
    return sorted((folder / "content").glob("*/*"))


def test_a_tree_elsewhere_takes_libraries_from_the_cache(
    filled: Project, other: Project, folder: Path
) -> None:
    calls = other.build("-j2", MLCX_CACHE_DIR=str(folder))
    assert calls
    assert not [call for call in calls if call.startswith(TAKEN)]
    assert other.files() == filled.files()
    for library in LIBRARIES:
        row = other.report()[library]
        assert row["status"] == "cached"
        assert row["sha256"] == filled.report()[library]["sha256"]
    assert other.build(MLCX_CACHE_DIR=str(folder)) == []
    assert statuses(other)["dist/lib/one.so"] == "up to date"


def test_the_summary_counts_what_was_cached(other: Project, folder: Path) -> None:
    done = other.scons("-Q", MLCX_CACHE_DIR=str(folder))
    assert "Retrieved `dist/lib/one.so' from cache" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("mlcx: 5 built, 6 cached, see")


def test_a_removed_library_comes_back(filled: Project, folder: Path) -> None:
    made = filled.files()
    (filled.root / LIBRARIES[0]).unlink()
    assert filled.build(MLCX_CACHE_DIR=str(folder)) == []
    assert filled.files() == made


def test_two_models_that_compile_to_the_same_compile_once(
    project: Project, folder: Path
) -> None:
    project.add_checkpoint("three")
    shutil.rmtree(project.root / "models/three")
    shutil.copytree(project.root / "models/one", project.root / "models/three")
    project.write_spec("mlc-package-config.json", "one", "three")
    calls = project.build(MLCX_CACHE_DIR=str(folder))
    assert [call for call in calls if call.startswith("compile")] == [COMPILE_ONE]
    three = (project.root / "dist/lib/three.so").read_bytes()
    assert three == (project.root / "dist/lib/one.so").read_bytes()


def test_of_equal_jobs_at_once_one_compiles(project: Project, folder: Path) -> None:
    """Neither is stored when the other begins, and both are when it ends."""
    for name in ("three", "four"):
        shutil.copytree(project.root / "models/one", project.root / "models" / name)
    project.write_spec("mlc-package-config.json", "one", "two", "three", "four")
    project.order("held", "dist/lib")
    build = project.start("-j8", MLCX_CACHE_DIR=str(folder))
    for _ in range(2):
        waiting(build, ".so waits for an equal one that is being made")
    project.order("held")
    out, err = build.communicate(timeout=project.patience)
    assert build.returncode == 0, out + err
    verbs = [call.split()[0] for call in project.calls()]
    # Of "one" and its copies, and of "two".
    assert [verbs.count(verb) for verb in TAKEN] == [2, 2, 2]
    libraries = [
        project.root / f"dist/lib/{name}.so" for name in ("one", "three", "four")
    ]
    assert len({path.read_bytes() for path in libraries}) == 1
    found = statuses(project)
    names = [f"dist/lib/{path.name}" for path in libraries]
    assert sorted(str(found[name]) for name in names) == ["built", "cached", "cached"]
    assert list((folder / "locks").iterdir()) == []


def test_equal_jobs_that_fail_hold_nobody_up(project: Project, folder: Path) -> None:
    shutil.copytree(project.root / "models/one", project.root / "models/three")
    project.write_spec("mlc-package-config.json", "one", "three")
    project.order("slow", "dist/lib")
    project.order("fail", "dist/lib")
    done = project.scons("-k", "-j8", MLCX_CACHE_DIR=str(folder))
    assert done.returncode == 2
    found = statuses(project)
    assert [found[f"dist/lib/{name}.so"] for name in ("one", "three")] == ["failed"] * 2


def test_another_input_misses(other: Project, folder: Path) -> None:
    other.edit("models/one/config.json", context_window_size=32)
    calls = other.build(MLCX_CACHE_DIR=str(folder))
    assert [call for call in calls if call.startswith("compile")] == [COMPILE_ONE]


def test_a_damaged_entry_is_reported_and_built_again(
    filled: Project, other: Project, folder: Path
) -> None:
    for path in contents(folder):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    done = other.scons(MLCX_CACHE_DIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert "compile one, q4f16_1, cpu is damaged: expected" in done.stderr
    assert other.files() == filled.files()
    shutil.rmtree(other.root / "dist")
    assert not [
        call
        for call in other.build(MLCX_CACHE_DIR=str(folder))
        if call.startswith("compile")
    ]


def test_an_entry_that_cannot_be_read_is_no_entry(other: Project, folder: Path) -> None:
    for path in (folder / "entries").glob("*/*"):
        path.write_bytes(b"{")
    done = other.scons(MLCX_CACHE_DIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert "cannot be read" in done.stderr
    assert statuses(other)["dist/lib/one.so"] == "built"


def test_read_only_takes_but_does_not_store(
    filled: Project, other: Project, folder: Path
) -> None:
    before = sorted(folder.rglob("*"))
    other.edit("models/one/config.json", context_window_size=32)
    environ = {"MLCX_CACHE_DIR": str(folder), "MLCX_CACHE_READONLY": "1"}
    done = other.scons(**environ)
    assert done.returncode == 0, done.stderr
    found = statuses(other)
    assert [found[library] for library in LIBRARIES] == ["built", "cached"]
    assert sorted(folder.rglob("*")) == before


def test_a_cache_that_cannot_be_written_only_warns(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = project.scons(MLCX_CACHE_DIR=str(tmp_path / "file"))
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if "warning: cache" in line]
    assert len(warnings) == 1
    assert warnings[0].endswith("going on without it")
    assert statuses(project)["dist/lib/one.so"] == "built"


def test_readonly_policy_takes_from_the_cache(other: Project, folder: Path) -> None:
    done = other.scons(MLCX_CACHE_DIR=str(folder), MLC_JIT_POLICY="READONLY")
    assert done.returncode == 0, done.stderr
    assert statuses(other)["dist/lib/one.so"] == "cached"


def test_redo_compiles_and_replaces_what_is_stored(
    filled: Project, other: Project, folder: Path
) -> None:
    calls = other.build(MLCX_CACHE_DIR=str(folder), MLC_JIT_POLICY="REDO")
    assert COMPILE_ONE in calls
    shutil.rmtree(other.root / "dist")
    other.build(MLCX_CACHE_DIR=str(folder))
    assert statuses(other)["dist/lib/one.so"] == "cached"


def test_off_refuses_what_is_cached(other: Project, folder: Path) -> None:
    done = other.scons("-k", MLCX_CACHE_DIR=str(folder), MLC_JIT_POLICY="OFF")
    assert done.returncode == 2
    assert not (other.root / LIBRARIES[0]).exists()


def test_the_cache_can_be_switched_off(other: Project, folder: Path) -> None:
    environ = {"MLCX_CACHE_DIR": str(folder)}
    assert COMPILE_ONE in other.build("CACHE_DIR=none", **environ)
    shutil.rmtree(other.root / "dist")
    assert COMPILE_ONE in other.build("--cache-disable", **environ)


def test_it_lies_in_the_users_folder(template: Project) -> None:
    assert contents(template.control / "home/build_cache")


def test_a_dry_run_says_what_is_cached(filled: Project, folder: Path) -> None:
    shutil.rmtree(filled.root / "dist/lib")
    done = filled.scons("-Qn", MLCX_CACHE_DIR=str(folder))
    assert done.stdout.splitlines()[-1] == "mlcx: 9 up to date, 2 in cache"
    assert not (filled.root / "dist/lib").exists()


def test_weights_and_bundles_are_not_cached(filled: Project, folder: Path) -> None:
    entries = (path.read_text() for path in (folder / "entries").glob("*/*"))
    labels = {json.loads(text)["label"].split()[0] for text in entries}
    assert labels == {*TAKEN}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MLCX_CACHE_READONLY", "yes", "MLCX_CACHE_READONLY: expected 0 or 1"),
        ("MLCX_CACHE_URL", "ftp://host", "expected a URL with one of s3://"),
    ],
)
def test_a_wrong_variable_is_refused(
    project: Project, name: str, value: str, said: str
) -> None:
    done = project.scons(**{name: value})
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_second_level_serves_another_user(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    url = f"CACHE=file://{tmp_path}/shared"
    project.build(url, MLCX_CACHE_DIR=str(tmp_path / "a"))
    other = Project(tmp_path / "other", tmp_path / "others", project.sources)
    other.create()
    calls = other.build(url, MLCX_CACHE_DIR=str(tmp_path / "b"))
    assert not [call for call in calls if call.startswith(TAKEN)]
    assert other.files() == project.files()
    assert len(contents(tmp_path / "b")) == len(contents(tmp_path / "a"))


def test_what_is_taken_near_is_stored_far_away_when_that_is_asked_for(
    other: Project, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    shared, near = tmp_path / "shared", {"MLCX_CACHE_DIR": str(folder)}
    words = ("-j2", f"CACHE=file://{shared}", *LIBRARIES)
    assert not [call for call in other.build(*words, **near) if TAKEN[-1] in call]
    assert not list(shared.glob("content/*"))
    assert other.build("--cache-force", *words, **near) == []
    stored = {path.read_bytes() for path in (shared / "content").iterdir()}
    assert {(other.root / library).read_bytes() for library in LIBRARIES} <= stored


def test_a_second_level_that_is_gone_only_warns(project: Project) -> None:
    pytest.importorskip("obstore")
    done = project.scons("CACHE=http://127.0.0.1:9/cache")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "warning: cache" in line]
    assert len(warnings) == 1
    assert "http://127.0.0.1:9/cache" in warnings[0]
    assert os.linesep not in warnings[0]


@pytest.mark.slow
def test_a_source_that_is_edited_during_a_step_is_not_shared(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    made = "gen_config build/one/model"
    project.order("slow", "one/model")
    build = project.start(MLCX_CACHE_DIR=str(folder))
    wait_for(lambda: made in project.calls())
    project.edit("models/one/generation_config.json", temperature=0.9)
    out, err = build.communicate(timeout=PATIENCE)
    assert build.returncode == 0, err
    said = "mlc-chat-config.json is not stored in the cache: a source changed while"
    assert said in out + err
    another = Project(tmp_path / "another", tmp_path / "others", project.sources)
    another.create()
    assert made in another.build(MLCX_CACHE_DIR=str(folder))
    assert made in project.build(MLCX_CACHE_DIR=str(folder))
    assert "0.9" in (project.root / "build/one/model/mlc-chat-config.json").read_text()
