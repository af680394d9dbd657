"""``mlcx explain`` on real projects: before a build and after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

from mlcx.reasons.record import Records

from .project import Project

CONFIG = "build/one/config/q4f16_1/compile-config.json"


def run(project: Project, *args: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mlcx", "explain", *args],
        cwd=project.root,
        env={**os.environ, **project.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def explained(project: Project, target: str) -> dict[str, Any]:
    (found,) = json.loads(run(project, target, "--json"))["targets"]
    return dict(found)


def texts(changes: list[dict[str, Any]]) -> list[str]:
    return [change["text"] for change in changes]


def test_what_was_never_built_is_to_build(project: Project) -> None:
    found = explained(project, "dist/lib/one.so")
    assert (found["state"], found["last"]) == ("to build", None)
    assert texts(found["changes"]) == ["no earlier build of it is known"]
    assert not (project.root / "build").exists()


def test_several_changes_are_followed_to_their_sources(built: Project) -> None:
    assert run(built) == "all is up to date\n"
    built.edit("models/one/config.json", hidden_size=16, rope_theta=5e5)
    overrides = {"prefill_chunk_size": 32}
    built.write_spec("mlc-package-config.json", "one", "two", overrides=overrides)
    found = explained(built, "dist/lib/one.so")
    (moved,) = found["changes"]
    spec = "mlc-package-config.json"
    line = 1 + next(
        index
        for index, text in enumerate((built.root / spec).read_text().splitlines())
        if "prefill_chunk_size" in text
    )
    override = "option --overrides: prefill_chunk_size added, 32"
    assert texts(moved["because"]) == [
        f"{override}, from overrides of model one in {spec}:{line}"
    ]
    (normalize,) = found["behind"]
    (gen_config,) = normalize["behind"]
    expected = [
        "models/one/config.json: hidden_size 8 → 16",
        "models/one/config.json: rope_theta added, 500000.0",
    ]
    assert texts(gen_config["changes"]) == expected
    assert explained(built, "dist/bundle/one")["state"] == "perhaps"
    out = built.scons("-Q").stdout
    line_of = {text.split()[1]: text for text in out.splitlines()}
    assert line_of["dist/lib/one.so"].endswith(
        "(hidden_size 8 → 16; overrides null → prefill_chunk_size=32; "
        "rope_theta added, 500000.0)"
    )
    after = explained(built, "dist/lib/one.so")
    assert after["state"] == "up to date"
    assert len(after["last"]["because"]) == 3
    assert run(built) == "all is up to date\n"


def test_what_is_made_elsewhere_says_of_what_it_takes_the_place(built: Project) -> None:
    spec = "mlc-package-config.json"
    built.write_spec(spec, "one", "two", overrides={"prefill_chunk_size": 32})
    before = next(call for call in built.build() if "one/config" in call)
    built.write_spec(spec, "one", "two", overrides={"prefill_chunk_size": 16})
    found = explained(built, "dist/lib/one.so")
    (new,) = found["behind"][0]["changes"]
    assert new["text"] == f"it is made in place of {before.split()[1]}"
    change = "prefill_chunk_size 32 → 16"
    (option,) = texts(new["because"])
    assert option.startswith(f"option --overrides: {change}, from overrides of model")
    line, *_ = built.scons("-Q", "dist/lib/one.so").stdout.splitlines()
    assert line.startswith("normalize build/one/config/q4f16_1-")
    assert line.endswith(f"({change})")


def test_the_change_behind_an_intermediate_file_is_kept(built: Project) -> None:
    built.edit("models/one/config.json", vocab_size=10)
    # Of an encoding without arrows a build makes do.
    assert "vocab_size 9 -> 10" in built.scons(PYTHONIOENCODING="ascii").stdout
    last = explained(built, "dist/lib/one.so")["last"]
    (config,) = last["because"]
    assert config["text"] == f"{CONFIG}: vocab_size 9 → 10"
    (chat,) = config["because"]
    assert chat["text"].endswith("mlc-chat-config.json: model_config.vocab_size 9 → 10")
    assert texts(chat["because"]) == ["models/one/config.json: vocab_size 9 → 10"]


def test_what_does_not_reach_a_library_leaves_it_up_to_date(built: Project) -> None:
    built.edit("models/one/generation_config.json", temperature=0.9)
    assert explained(built, "dist/lib/one.so")["state"] == "perhaps"
    built.build()
    assert not [call for call in built.calls() if call.startswith("compile")]
    found = explained(built, "dist/lib/one.so")
    assert (found["state"], found["changes"]) == ("up to date", [])


def test_what_is_missing_forced_or_unsigned_is_said(built: Project) -> None:
    (built.root / "dist/lib/one.so").unlink()
    (built.root / "build/one/model/params_shard_1.bin").unlink()
    (built.root / "models/two/model.safetensors").write_bytes(b"x" * 3001)
    lines = run(built, MLC_JIT_POLICY="REDO").splitlines()
    assert "  build/one/model/params_shard_1.bin is missing" in lines
    assert "  dist/lib/one.so is missing" in lines
    assert lines.count("  MLC_JIT_POLICY=REDO") == 2
    assert "  models/two/model.safetensors: 3,000 bytes → 3,001 bytes" in lines
    (built.root / ".sconsign.dblite").write_bytes(b"not a database")
    lines = run(built, "dist/lib/two.so").splitlines()
    assert lines[:2] == [
        "dist/lib/two.so: to build, since",
        "  .sconsign.dblite does not know it",
    ]


def test_old_facts_are_held_against_what_there_is(built: Project) -> None:
    records = Records(built.root, built.root / "build")
    record = records.read("dist/lib/one.so")
    assert record is not None
    facts = {name: dict(parts) for name, parts in record.facts.items()}
    facts["TVM"]["apache-tvm"] = "0.26.0"
    facts["sources of mlcx.compiler"].pop("errors.py")
    facts["sources of mlcx.compiler"]["compiler/gone.py"] = "0"
    options = {**record.options, "opt": "O1"}
    records.write(replace(record, facts=facts, options=options))
    found = texts(explained(built, "dist/lib/one.so")["changes"])
    assert found[0].startswith("option --opt: O1 → O")
    assert found[1].startswith("TVM: apache-tvm 0.26.0 → 0.27")
    assert found[2:] == [
        "sources of mlcx.compiler: compiler/gone.py removed",
        "sources of mlcx.compiler: errors.py added",
    ]


def test_a_record_that_is_damaged_is_said_to_be_and_written_anew(
    built: Project,
) -> None:
    name = "build/inputs/dist/lib/one.so.json"
    record = built.root / name
    whole = record.read_text()
    assert built.build() == []  # after which no build needs to look at any file
    record.write_text(whole.replace("apache-tvm", "apache-tvn"))
    lines = run(built, "dist/lib/one.so").splitlines()
    what = "the next build goes by SCons' signatures, and writes it anew"
    assert lines == [
        "dist/lib/one.so: perhaps to build",
        f"  its record {name} is damaged: {what}",
    ]
    done = built.scons()
    assert done.returncode == 0
    said = f"mlcx: warning: {name} damaged: written anew, of what is there now\n"
    assert done.stderr == said
    assert explained(built, "dist/lib/one.so")["state"] == "up to date"


def test_a_record_that_is_lost_is_written_anew(built: Project) -> None:
    (built.root / "build/inputs/dist/lib/one.so.json").unlink()
    (text,) = texts(explained(built, "dist/lib/one.so")["changes"])
    assert text == "there is no record of what it was made from"
    assert built.build() == []
    assert explained(built, "dist/lib/one.so")["state"] == "up to date"


def test_an_unknown_target_and_no_spec_are_wrong_usage(built: Project) -> None:
    records = built.root / "build/inputs/dist"
    (records / "own.so.json").write_bytes((records / "lib/one.so.json").read_bytes())
    for args, message in (
        (["dist/lib/on.so"], b"did you mean dist/lib/one.so?"),
        (["dist/own.so"], b"build/inputs/dist/own.so.json says what a build made it"),
        (["--spec", "none.json"], b"none.json: there is no such file"),
    ):
        command = [sys.executable, "-m", "mlcx", "explain", *args]
        environ = {**os.environ, **built.environ}
        done = subprocess.run(
            command, cwd=built.root, env=environ, capture_output=True, check=False
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert b"Traceback" not in done.stderr


def test_of_a_folder_all_that_is_made_in_it_is_explained(built: Project) -> None:
    (built.root / "models/one/model.safetensors").write_bytes(b"other weights")
    said = run(built, "build/one/model")
    assert "build/one/model/mlc-chat-config.json: up to date" in said
    assert "build/one/model/tensor-cache.json: to build, since" in said
    assert run(built, "dist").count("dist/lib/") == 2
