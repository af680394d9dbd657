"""What is up to date is not told to SCons, and looks to people as if it had been."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from .project import Project

TOLD = "SCons was told"
ONLY_STANDING = f"""
import sys, SCons.Script
from mlcx.scons.graph import Graph
def declare(*_):
    sys.exit("{TOLD}")
Graph.declare = declare
sys.argv[0] = "scons"
SCons.Script.main()
"""
Change = Callable[[Project], object]


def untold(project: Project, *args: str, **environ: str) -> str | None:
    """Build, and return what is printed; None: SCons would have to be told more."""
    done = subprocess.run(
        [sys.executable, "-c", ONLY_STANDING, *args],
        cwd=project.root,
        env={**os.environ, **project.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if TOLD in done.stderr:
        return None
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rows(project: Project) -> str:
    report = (project.root / "dist/report.json").read_text()
    return report.partition('"counts"')[2]


def test_what_stands_looks_as_if_scons_had_found_it_so(built: Project) -> None:
    told = built.scons().stdout
    report, signatures = rows(built), (built.root / ".sconsign.dblite").read_bytes()
    assert untold(built) == told
    assert rows(built) == report
    assert (built.root / ".sconsign.dblite").read_bytes() == signatures
    assert untold(built, "-s") == ""
    for more in (["-n"], ["dist/lib/one.so"], ["--debug=explain"], ["OUTPUT=other"]):
        assert untold(built, *more) is None
    assert untold(built, MLC_JIT_POLICY="REDO") is None
    os.utime(built.root / "dist/lib/one.so")
    assert untold(built) is None
    assert built.build() == []


def test_a_first_build_is_known_to_stand_at_once(project: Project) -> None:
    project.build("-j2")
    assert untold(project) is not None
    (project.root / "dist/lib/one.so").unlink()
    assert untold(project) is None
    assert project.build() == ["compile dist/lib/one.so"]
    assert untold(project) is not None
    assert "failed" not in rows(project)


def test_a_script_that_declares_more_is_always_asked(built: Project) -> None:
    built.build()
    with (built.root / "SConstruct").open("a") as script:
        script.write('env.Install("out", "dist/lib/one.so")\n')
    assert untold(built) is None


def test_a_script_that_builds_one_package_can_stand_too(built: Project) -> None:
    script = built.root / "SConstruct"
    script.write_text(script.read_text().replace("MLCCommandLine", "MLCPackage"))
    built.build()
    signatures = (built.root / ".sconsign.dblite").read_bytes()
    told = untold(built)
    assert told is not None
    assert "scons: `.' is up to date.\nscons: done building targets.\n" in told
    assert (built.root / ".sconsign.dblite").read_bytes() == signatures
    assert untold(built, ".") is None
    assert untold(built, "dist/lib/one.so") is None


CHANGES: dict[str, tuple[Change, list[str]]] = {
    "a window": (
        lambda built: built.edit("models/one/config.json", context_window_size=128),
        [
            "gen_config",
            "convert_weight",
            "normalize",
            "compile",
            "bundle",
            "app_config",
        ],
    ),
    "weights of the same length": (
        lambda built: (built.root / "models/one/model.safetensors").write_bytes(
            b"eno" * 1000
        ),
        ["convert_weight", "bundle"],
    ),
    "a new tokenizer file": (
        lambda built: (built.root / "models/one/tokenizer_config.json").write_text(
            "{}"
        ),
        ["gen_config", "normalize", "bundle"],
    ),
    "a removed shard of a bundle": (
        lambda built: (built.root / "dist/bundle/one/params_shard_0.bin").unlink(),
        ["bundle"],
    ),
    "an edited index": (
        lambda built: (built.root / "dist/bundle/one/tensor-cache.json").write_text(
            "{}"
        ),
        ["bundle"],
    ),
    "a removed product": (
        lambda built: (built.root / "dist/bundle/mlc-app-config.json").unlink(),
        ["app_config"],
    ),
    "no signatures": (
        lambda built: (built.root / ".sconsign.dblite").unlink(),
        [
            "gen_config",
            "convert_weight",
            "normalize",
            "compile",
            "bundle",
            "app_config",
        ],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("change", "verbs"), CHANGES.values(), ids=CHANGES)
def test_one_change_runs_what_it_must(
    built: Project, change: Change, verbs: list[str]
) -> None:
    built.build()
    assert untold(built) is not None
    change(built)
    assert untold(built) is None
    ran = {line.split()[0] for line in built.build()}
    assert ran == set(verbs)
    assert untold(built) is not None
