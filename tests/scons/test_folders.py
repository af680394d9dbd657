"""Folders that hold the user's own files where a build would have its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from SCons.Environment import Environment

from mlcx.artifact import BUILD_NAMES
from mlcx.errors import UsageError
from mlcx.reasons.standing import FOLDER as STANDING
from mlcx.report import documents
from mlcx.report.journal import JOURNAL
from mlcx.report.run import Run
from mlcx.scons.declared import VALID, Mode
from mlcx.scons.folders import check, of
from mlcx.scons.former import FOLDER
from mlcx.scons.lock import BUILD
from mlcx.scons.provenance import HASHES
from mlcx.scons.session import SCRATCH
from mlcx.steps.places import Places
from mlcx.steps.requests import Folders

from .project import Project

BUILDS = Mode(builds=True, cleans=False, silent=False)
CLEANS = Mode(builds=False, cleans=True, silent=False)
LISTS = Mode(builds=True, cleans=False, silent=False, manifest=True)


def test_no_model_is_called_as_what_a_build_keeps(built: Project) -> None:
    built.add_checkpoint("tmp")
    built.write_spec("mlc-package-config.json", "one", "two", "tmp")
    built.build("MANIFEST=1")
    there = {path.name for path in (built.root / "build").iterdir()}
    (apart,) = (name for name in there if name.startswith("tmp-"))
    kept = there - {"one", "two", apart}
    assert (built.root / "build" / apart / "model/tensor-cache.json").exists()
    assert (built.root / "dist/bundle/tmp/tensor-cache.json").exists()
    assert built.build("MANIFEST=1") == []
    others = {BUILD, JOURNAL, VALID, HASHES, FOLDER, STANDING, SCRATCH}
    # tests/steps/test_sources.py holds these against the steps that make them.
    of_steps = {"prepare_libs", "quality", "reference", "web"}
    assert kept | others | of_steps == BUILD_NAMES
    place = Places(Path("build"))
    assert place.of("Log", Path("models/log")).name.startswith("Log-")


@pytest.mark.parametrize("mode", [BUILDS, CLEANS])
def test_steps_do_not_work_among_the_users_files(tmp_path: Path, mode: Mode) -> None:
    top = tmp_path / "app"
    top.mkdir()
    (tmp_path / "link").symlink_to(top)
    for build in (top, tmp_path, tmp_path / "link"):
        with pytest.raises(UsageError, match="steps need a folder of their own"):
            check(top, Folders(top / "dist", build), mode)
    check(top, Folders(top, top / "build"), mode)


@pytest.mark.parametrize("mode", [BUILDS, CLEANS])
def test_nothing_is_built_where_everything_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    top = tmp_path / "home/app"
    top.mkdir(parents=True)
    for folder in (Path("/"), top.parent):
        for folders in (Folders(folder, top / "b"), Folders(top / "d", folder)):
            with pytest.raises(UsageError, match=f"{folder} is no folder to build in"):
                check(top, folders, mode)


@pytest.mark.parametrize("name", ["OUTPUT", "BUILD"])
def test_a_folder_without_a_name_is_refused(name: str) -> None:
    env = Environment(tools=[], **{"OUTPUT": "dist", "BUILD": "build", name: ""})
    with pytest.raises(UsageError, match=f"{name}=: expected the name of a folder"):
        of(env)


@pytest.mark.parametrize("name", ["OUTPUT", "BUILD"])
def test_a_folder_below_a_file_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.touch()
    folders = {"OUTPUT": "dist", "BUILD": "build", name: str(file / "deep/er")}
    message = f"{name}={file}/deep/er: File {file} found where directory expected"
    with pytest.raises(UsageError, match=message):
        of(Environment(tools=[], **folders))


@pytest.mark.parametrize("mode", [BUILDS, CLEANS])
@pytest.mark.parametrize("name", ["report.json", "report.md", "report.html"])
def test_a_file_that_is_called_like_a_report_stays(
    tmp_path: Path, name: str, mode: Mode
) -> None:
    folders = Folders(tmp_path, tmp_path / "build")
    documents.write(Run(50.0, 3.0, ()), tmp_path, tmp_path)
    (tmp_path / "report.json").write_text("")  # written when the power went
    check(tmp_path, folders, mode)
    (tmp_path / name).write_text('{"profit": 3}')
    message = f"{name} is no file of a build, which would overwrite it"
    with pytest.raises(UsageError, match=message):
        check(tmp_path, folders, mode)


def test_a_manifest_of_an_app_for_the_web_is_none_of_a_build(built: Project) -> None:
    manifest = built.root / "dist/manifest.json"
    manifest.write_text(json.dumps({"name": "an app", "start_url": "/"}))
    before = manifest.read_bytes()
    folders = Folders(built.root / "dist", built.root / "build")
    check(built.root, folders, BUILDS)
    with pytest.raises(UsageError, match=r"manifest\.json is no file of a build"):
        check(built.root, folders, LISTS)
    assert built.build() == []
    assert built.scons("-c").returncode == 0
    assert manifest.read_bytes() == before
