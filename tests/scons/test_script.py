from __future__ import annotations

from pathlib import Path

import pytest

import mlcx.scons
from mlcx.scons.script import is_plain, is_understood

from .project import REPOSITORY

OWN = [
    REPOSITORY / "SConstruct",
    REPOSITORY / "site_scons/site_tools/mlc.py",
    Path(mlcx.scons.__file__).with_name("SConstruct"),
]
START = 'env = Environment(tools=["mlc"])\n'
BUILD = 'env.MLCCommandLine("spec.json")\n'
PLAIN = [
    START + BUILD,
    START + 'env.MLCPackage("spec.json")\n',
    'Environment(tools=["mlc"], MLCX=["a", "b"]).MLCCommandLine("spec.json")\n',
    '"""Text."""\nSetOption("max_drift", 1)\nSetOption("num_jobs", 8)\n'
    + START
    + BUILD,
]
OTHER = [
    START + BUILD + BUILD,
    START + BUILD + 'env.MLCPackage("spec.json")\n',
    START + 'env.MLCLibrary("one.so", "model")\n',
    START + BUILD + 'env.Install("out", "dist/lib/one.so")\n',
    START + BUILD + 'Depends("a", "b")\n',
    START + BUILD + 'SConscript("more")\n',
    START + 'if 1:\n    env.MLCCommandLine("spec.json")\n',
    START + 'env.MLCCommandLine(ARGUMENTS["x"])\n',
    START + 'env.MLCCommandLine(f"{env}.json")\n',
    START + 'env.MLCCommandLine(env.Install("out", "x"))\n',
    START + 'SetOption("no_exec", 1)\n' + BUILD,
    "import os\n" + START + BUILD,
    "from mine import generate\n" + START + BUILD,
    "from mlcx.scons import generate as exists\n" + START + BUILD,
    'env = Environment(tools=["mlc"], toolpath=["mine"])\n' + BUILD,
    'env = Environment(tools=["mlc"], BUILDERS={})\n' + BUILD,
    'env = Environment(tools=["mlc"], **{})\n' + BUILD,
    "def generate(env):\n    pass\n",
    "env = (",
    "\0",
]
WORDS = [
    "-f x -Q --no-site-dir -j2 OUTPUT=a SPEC=b",
    "",
    "-Q",
    "-s",
    "-kQ",
    "-j8",
    "-j 8",
    "--jobs=8",
    "-f S -C dir",
    "a.json",
]
WORDS += ["a.json OUTPUT=out", "--keep-going"]
OTHER_WORDS = ["-n", "-c", "-q", "-h", "-kn", "--config=force", "--debug=explain"]
OTHER_WORDS += ["--cache-disable", "-f a -f b", "b.json", "dist/lib/one.so", "."]
OTHER_WORDS += ["--max-drift=0", "-B", "-u", "-D", "-- -n", "-i", "--random"]


@pytest.mark.parametrize("script", OWN, ids=str)
def test_own_scripts_are_plain(script: Path) -> None:
    assert is_plain(script)


def test_a_script_that_only_builds_specs_is_plain(tmp_path: Path) -> None:
    for text in PLAIN:
        (tmp_path / "script").write_text(text)
        assert is_plain(tmp_path / "script"), text


def test_a_script_that_may_do_more_is_not_plain(tmp_path: Path) -> None:
    for text in OTHER:
        (tmp_path / "script").write_text(text)
        assert not is_plain(tmp_path / "script"), text
    assert not is_plain(tmp_path / "none")


def test_command_lines_that_say_more_than_what_to_build_are_not_understood() -> None:
    assert [
        text for text in WORDS if not is_understood(text.split(), {}, ["a.json"])
    ] == []
    assert [
        text for text in OTHER_WORDS if is_understood(text.split(), {}, ["a.json"])
    ] == []
    assert not is_understood([], {"SCONSFLAGS": "-n"}, ["a.json"])
