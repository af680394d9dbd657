"""The verb inspect: what it prints of libraries, ours and others, and refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from described import metadata, stamp, stored

from mlcx.__main__ import main


def library(folder: Path, value: dict) -> str:
    file = folder / "model.so"
    file.write_bytes(stored(value))
    return str(file)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What is printed, by the word that begins its row; continued rows are joined."""
    assert main(["inspect", *arguments]) == 0
    rows: dict[str, str] = {}
    name = ""
    for line in capsys.readouterr().out.splitlines()[1:]:
        name = line[2:14].strip() or name
        rows[name] = (
            f"{rows[name]}|{line[14:]}" if not line[2:14].strip() else line[14:]
        )
    return rows


def test_a_library_says_what_it_was_built_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = stamp(device="android", opt="O2", system_lib_prefix="tiny_")
    cache = {"num_hidden_layers": 2, "num_attention_heads": 4}
    file = library(tmp_path, metadata(made, kv_cache=cache))
    rows = printed(capsys, file)
    assert rows["model"] == "llama, q4f16_1"
    assert rows["built by"] == ("mlcx 0.1.0, TVM 0.27.0.post1, its ffi 0.1.14.post1")
    assert rows["device"] == "android"
    assert rows["prefix"] == "tiny_"
    assert rows["overrides"] == "context_window_size=64, sliding_window_size=-1"
    assert rows["config"] == f"sha256 {'0' * 64}"
    assert rows["runtime"] == "vm.builtin.rnn_state_create: 6 arguments"
    assert rows["state"] == "kv_cache: layers 2, query heads 4"
    assert rows["limits"] == "context 64, prefill chunk 32, batch 4"
    assert rows["weights"] == "1 tensors, 24 B"
    assert rows["memory"] == "2.05 kB at most, in prefill"
    assert rows["rebuild"].endswith(f"--system-lib-prefix tiny_ -o {file}")


def test_of_several_models_each_is_built_again_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "libmodel_android.a"
    app.write_bytes(
        b"".join(
            stored(metadata(stamp(device="android", system_lib_prefix=prefix)))
            for prefix in ("one_", "two_")
        )
    )
    assert main(["inspect", str(app), "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    made = [each["rebuild"].partition(" --system-lib-prefix ")[2] for each in models]
    assert made == ["one_ -o one.tar", "two_ -o two.tar"]


def test_verbose_lists_what_else_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = printed(capsys, library(tmp_path, metadata(stamp())), "--verbose")
    assert rows["memory"].endswith("|prefill: 2.05 kB|decode: 64 B")


def test_a_library_of_mlc_llm_says_what_it_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = printed(capsys, library(tmp_path, metadata()))
    assert rows["built by"] == "MLC LLM: no stamp"
    assert rows["limits"] == "context 64, prefill chunk 32, batch 4"
    assert "rebuild" not in rows


def test_a_stamp_of_another_version_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = library(tmp_path, {"mlcx": {"stamp": 9}, **metadata()})
    assert printed(capsys, file)["built by"] == "another version of mlcx"


def test_json_holds_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = metadata(stamp())
    file = library(tmp_path, value)
    assert main(["inspect", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (model,) = found["models"]
    assert found["bytes"] == Path(file).stat().st_size
    assert (model["metadata"], model["stamped"]) == (value, True)
    assert model["parameter_bytes"] == 24
    assert model["functions"] is None


def test_any_numbers_and_texts_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensor = {"name": "w", "shape": [10**400, 2], "dtype": f"float{'9' * 5000}"}
    usage, nothing = {"prefill": 10**4000, "decode": -1}, {"host": {"mtriple": ""}}
    made = stamp(device="", opt="", overrides={}, target={"kind": "cuda", **nothing})
    value = metadata(made, params=[tensor, 3], memory_usage=usage, kv_state_kind="")
    rows = printed(capsys, library(tmp_path, value))
    assert (rows["device"], rows["overrides"], rows["state"]) == ("", "", "")
    assert rows["weights"] == "2 tensors, of a size that the config says"
    assert rows["memory"].endswith("TB at most, in prefill")


def test_lists_in_lists_are_printed_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How deep they are when they cannot be read, or printed, is Python's to say."""
    file, around = tmp_path / "model.so", json.dumps(metadata(stamp(), deep="HERE"))
    for depth in (900, 3000):
        text = around.replace('"HERE"', "[" * depth + "]" * depth).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text)
        status = main(["inspect", "--json", str(file)])
        found = capsys.readouterr()
        assert status == (0 if found.out else 2)
        assert found.err.count("\n") == (0 if found.out else 1)


def test_what_is_no_library_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("text")
    assert main(["inspect", str(file)]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == (
        f"{file}: expected a model library of mlcx or MLC LLM, found no compiled code "
        "and no model\n"
    )


def test_inspecting_loads_neither_tvm_nor_numpy(tmp_path: Path) -> None:
    file = library(tmp_path, metadata(stamp()))
    code = (
        "import sys; from mlcx.__main__ import main; main(['inspect', sys.argv[1]]); "
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"tvm", "tvm_ffi", "numpy", "torch"} & set(done.stderr.split())


def test_the_page_describes_every_field_of_the_stamp() -> None:
    page = Path(__file__).parents[2] / "docs" / "inspect.md"
    table = page.read_text().partition("| field | meaning |")[2].partition("\n\n")[0]
    first = (row.split("|")[1] for row in table.splitlines() if row.startswith("|"))
    described = {name for cell in first for name in re.findall("`(\\w+)`", cell)}
    assert described == set(stamp().as_json())
