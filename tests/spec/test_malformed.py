"""Specs that somebody got wrong, or means harm by: each is refused with its place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlcx.__main__ import main

ENTRY = {
    "model": "checkpoint",
    "model_id": "a",
    "quantization": "q4f16_1",
    "conv_template": "chatml",
    "bundle_weight": True,
}
NAME = "expected a portable file name"
WINDOWS = "is no file name on Windows"
LONG = "a text of at most 128 characters"
WHOLE = "expected a whole number, found"
FOLDER = "expected a folder, relative to this file, or HF://user/repository"
TEXT = "expected a text in double quotes"
DEEP = "lists and objects are nested more than 64 deep"

Spec = dict[str, Any] | str | bytes


def package(*entries: object, **more: object) -> dict[str, Any]:
    return {"device": "cpu", "model_list": list(entries), **more}


def one(**keys: object) -> dict[str, Any]:
    return package({**ENTRY, **keys})


def delivery(**more: object) -> dict[str, Any]:
    right = {
        "tasks": [{"model_id": "a", "model": "checkpoint"}],
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q4f16_1"],
        "binary_libs_dir": "libs",
    }
    return {**right, **more}


def option(**keys: object) -> dict[str, Any]:
    return delivery(default_compile_options=[{"device": "cpu", **keys}])


def number(text: str) -> str:
    spec = one(overrides={"context_window_size": "@"})
    return json.dumps(spec, indent=1).replace('"@"', text)


def memory(text: str) -> str:
    spec = one(estimated_vram_bytes="@")
    return json.dumps(spec, indent=1).replace('"@"', text)


IDS: dict[str, tuple[object, ...]] = {
    NAME: (
        *("../a", "../../etc", "/tmp/a", "a/b", "a\\b", "..", ".", "", "a.", "-rf"),
        *("a;touch pwned", "$(touch pwned)", "`touch pwned`", "a|b", "a>b", "$HOME"),
        *("a\nb", "a\0b", "a\x1b[31m", "a\x7f", "a\tb", "a b", "a:b", "a*", "a\u202eb"),
        *("\u00e9", "\U0001f600", "a\u00a0"),
    ),
    WINDOWS: ("CON", "nul", "COM1.txt", "aux.q4", "Lpt9"),
    LONG: ("a" * 129, "a" * 5000),
    TEXT: (1, None, True, ["a"], {}),
}
NUMBERS = {
    "the number is too large": ("1e400", "-1e400"),
    "the number has too many digits": ("1" * 5000,),
    "expected at most 2147483647": ("1" + "0" * 400, str(2**63), "1e308"),
    "expected a JSON value, found": ("NaN", "Infinity", "-Infinity"),
    WHOLE: ("0.5", '"512"', "null", "true", "[1]", "{}"),
    "or -1 for none, found -5": ("-5",),
    "expected a comma or the closing bracket": ("0x10", "012", "1_000"),
    "expected a value, found +": ("+1",),
}
MODELS: dict[str, tuple[object, ...]] = {
    FOLDER: ("a\0b", "", "http://x/y", "HF://../..", "HF://a/b;c", "HF://a/b/c"),
    "there is no folder": ("nowhere", "~/x", "$HOME", "x" * 5000),
    "found the file": ("spec.json",),
    TEXT: (1, None, ["checkpoint"]),
}
FOLDERS: dict[str, tuple[object, ...]] = {
    "inside the output folder": ("../out", "a/../../x", "..", "/tmp", "//tmp/a"),
    "no control characters": ("a\0", "a\nb", "..\\x"),
    WINDOWS: ("con", "a./b", "x/NUL/y", "a "),
    "is too long for a file name": ("a/" + "b" * 300,),
    "at most 1024 characters": ("b/" * 600,),
    TEXT: (1, None),
}
RECIPE = {"base": "q4f16_1", "layers": {"*": "q0f16"}}
OTHERS: list[tuple[Spec, str]] = [
    (b"", "the file is empty"),
    (b"\xef\xbb\xbf{}", "byte order mark"),
    (b'{"device": "cpu\xff"}', "expected UTF-8 text"),
    ("{}".encode("utf-16"), "found UTF-16"),
    (b"[" * 100_000, DEEP),
    (b'{"device":' * 65 + b"1" + b"}" * 65, DEEP),
    ("null", "expected an object"),
    ('{"device": "\\ud800"}', "surrogate"),
    ('{"\\udc00": 1, "model_list": []}', "surrogate"),
    ('{"device": "cpu", "device": "cuda"}', "is given more than once"),
    ('{"device": "cpu", "model_list": [], "__proto__": {}}', "unknown key"),
    ({"device\0": "cpu", "model_list": []}, 'unknown key "device\\u0000"'),
    ({}, "cannot tell whether"),
    ({**package(), **delivery()}, "unknown key"),
    ({"$schema": "file:///etc/passwd", **package()}, "expected the schema"),
    ({"$schema": 3, **package()}, TEXT),
    (package(device=["cpu"]), "device: expected one of"),
    (package(device="cpu;x"), "device: expected one of"),
    ({"device": "cpu", "model_list": {}}, "expected a list"),
    (package("x"), "expected an object"),
    (package(None), "expected an object"),
    (one(mcpu="x; touch pwned"), "expected an LLVM CPU name"),
    (one(mcpu="x\n-march=y"), "expected an LLVM CPU name"),
    (one(mcpu="--help"), "expected an LLVM CPU name"),
    (one(host="$(touch pwned)"), "expected an LLVM triple"),
    (one(host="-o/tmp/x"), "expected an LLVM triple"),
    (one(overrides={"opt": "O2;touch pwned=1"}), "expected O0, O1, O2 or O3"),
    (one(overrides={"hidden_size": 1}), 'unknown key "hidden_size"'),
    (one(overrides={"context_window_size": [[[]]]}), WHOLE),
    (one(conv_template="--help"), "conv_template: expected one of"),
    (one(quantization="../q"), "quantization: expected one of"),
    (one(model_lib="../x"), NAME),
    (one(model_lib="con.so"), WINDOWS),
    (one(bundle_weight="yes"), "bundle_weight: expected"),
    (package({**ENTRY, "model_id": "M"}, {**ENTRY, "model_id": "m"}), "is taken"),
    (
        package(
            {**ENTRY, "model_lib": "L"}, {**ENTRY, "model_id": "b", "model_lib": "l"}
        ),
        "would be written for this and, differently",
    ),
    (
        one(model_lib="x", model_lib_path_for_prepare_libs={}),
        "unknown key",
    ),
    (
        package(ENTRY, model_lib_path_for_prepare_libs={"x": "../../etc/passwd"}),
        "there is no file",
    ),
    (
        package(
            {**ENTRY, "quantization": "../r"}, quantization_recipes={"../r": RECIPE}
        ),
        "expected the name of a recipe",
    ),
    (
        package({**ENTRY, "quantization": "con"}, quantization_recipes={"con": RECIPE}),
        WINDOWS,
    ),
    (option(device="iphone", system_lib_prefix="a b"), "system_lib_prefix: expected"),
    (option(device="iphone", system_lib_prefix="a" * 5000), LONG),
    (option(device="cuda", archs="sm_80;x"), "archs: expected"),
    (delivery(tasks=[{"model_id": "../../x", "model": "checkpoint"}]), NAME),
    (delivery(tasks=[{"model_id": "lpt1", "model": "checkpoint"}]), WINDOWS),
    (memory("-5"), "estimated_vram_bytes: expected at least 0"),
    (memory("1" + "0" * 400), "estimated_vram_bytes: expected at most"),
    (memory("1e400"), "the number is too large"),
]
CASES: list[tuple[Spec, str]] = [
    *((one(model_id=value), text) for text, values in IDS.items() for value in values),
    *((number(each), text) for text, values in NUMBERS.items() for each in values),
    *((one(model=value), text) for text, values in MODELS.items() for value in values),
    *(
        (delivery(binary_libs_dir=value), text)
        for text, values in FOLDERS.items()
        for value in values
    ),
    *OTHERS,
]


def write(spec: Spec) -> None:
    text = spec if isinstance(spec, str | bytes) else json.dumps(spec, indent=1)
    data = text if isinstance(text, bytes) else text.encode()
    Path("spec.json").write_bytes(data)


def tree(folder: Path) -> dict[str, bytes]:
    found = {str(path): b"" for path in (*folder.rglob("*"), *folder.parent.iterdir())}
    return found | {name: Path(name).read_bytes() for name in found if _is_file(name)}


def _is_file(name: str) -> bool:
    return Path(name).is_file()


def test_there_are_many() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize(("spec", "message"), CASES, ids=range(len(CASES)))
def test_a_malformed_spec_is_refused_with_its_place(
    here: Path, capsys: pytest.CaptureFixture[str], spec: Spec, message: str
) -> None:
    write(spec)
    before = tree(here)
    assert main(["validate", "spec.json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(re.match(r"spec\.json:\d+:\d+: \S", line) for line in err.splitlines())
    assert message in err
    assert "Traceback" not in err
    # Nothing that steers a terminal, whatever the spec holds.
    assert err.replace("\n", "").isprintable()
    assert tree(here) == before


@pytest.mark.parametrize("path", [".", "no.json", "a\0b", "x" * 300])
def test_what_is_no_file_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    assert main(["validate", path]) == 2
    assert capsys.readouterr().err.startswith(f"{path}: ")
    assert (here / "checkpoint").is_dir()


def test_what_may_never_end_is_not_read(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(here / "pipe.json")
    (here / "large.json").touch()
    os.truncate(here / "large.json", 200 << 20)
    for path, message in (
        ("pipe.json", "expected a JSON file, found a pipe or a device"),
        ("/dev/zero", "expected a JSON file, found a pipe or a device"),
        ("large.json", "expected at most 67108864 bytes, found 209715200"),
    ):
        assert main(["validate", path]) == 2
        assert capsys.readouterr().err == f"{path}: {message}\n"


HARMFUL: list[Spec] = [
    one(model_id="../../escaped"),
    one(mcpu="x; touch pwned"),
    one(overrides={"opt": "O2;touch pwned=1"}),
    delivery(binary_libs_dir="../escaped"),
    delivery(binary_libs_dir="/tmp/escaped"),
    b"[" * 100_000,
    number("1e400"),
]


@pytest.mark.parametrize("spec", HARMFUL, ids=range(len(HARMFUL)))
def test_no_command_runs_or_writes_anything_for_a_malformed_spec(
    here: Path, spec: Spec
) -> None:
    write(spec)
    before = tree(here)
    commands = [["package", "--package-config", "spec.json"]]
    if "tasks" in spec if isinstance(spec, dict) else False:
        commands = [["deliver", "--spec", "spec.json"]]
    for command in (
        *commands,
        ["plan", "spec.json"],
        ["explain", "--spec", "spec.json"],
    ):
        assert main(command) == 2
    assert tree(here) == before


SAMPLE = [one(model_id="../../escaped")]
MORE = [spec for spec, _ in CASES[::7]]


@pytest.mark.parametrize(
    "spec", [*SAMPLE, *(pytest.param(each, marks=pytest.mark.slow) for each in MORE)]
)
def test_scons_itself_refuses_one_before_it_builds(here: Path, spec: Spec) -> None:
    write(spec)
    (here / "SConstruct").write_text(
        'env = Environment(tools=["mlc"])\nenv.MLCSpec("spec.json")\n'
    )
    tool = here / "site_scons/site_tools/mlc.py"
    tool.parent.mkdir(parents=True)
    tool.write_text("from mlcx.scons import exists, generate\n")
    before = tree(here)
    command = [sys.executable, "-B", "-m", "SCons", "-Q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.match(r"spec\.json:\d+:\d+: \S", done.stderr)
    assert "Traceback" not in done.stderr
    made = {
        Path(path).relative_to(here).parts[0] for path in tree(here).keys() - before
    }
    assert made <= {"build", ".sconsign.dblite"}
