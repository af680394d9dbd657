"""Whole builds, with a stand-in for the slow verbs: what runs, and why."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from .project import Project, copy_sources, write_json

ONE = ["bundle dist/bundle/one", "gen_config build/one/model"]
COMPILE_ONE = "compile dist/lib/one.so"
NORMALIZE_ONE = "normalize build/one/config/q4f16_1/compile-config.json"


def test_a_build_makes_every_file_of_the_spec(project: Project) -> None:
    calls = project.build("-j2")
    assert len(calls) == 11
    dist = project.root / "dist"
    found = sorted(
        str(path.relative_to(dist)) for path in dist.rglob("*") if path.is_file()
    )
    names = (
        "mlc-chat-config.json",
        "params_shard_0.bin",
        "params_shard_1.bin",
        "tensor-cache-b16.json",
        "tensor-cache.json",
        "tokenizer.json",
    )
    assert found == [
        "bundle/mlc-app-config.json",
        *(f"bundle/{model}/{name}" for model in ("one", "two") for name in names),
        "lib/one.so",
        "lib/two.so",
        "report.html",
        "report.json",
        "report.md",
    ]
    assert (dist / "bundle/one/params_shard_0.bin").read_bytes() == b"one" * 500
    app = json.loads((dist / "bundle/mlc-app-config.json").read_text())
    assert [row["model_id"] for row in app["model_list"]] == ["one", "two"]


def test_no_path_is_taken_for_an_option(project: Project) -> None:
    (project.root / "models/one").rename(project.root / "-m")
    spec = json.loads((project.root / "mlc-package-config.json").read_text())
    spec["model_list"] = [{**spec["model_list"][0], "model": "-m"}]
    write_json(project.root / "mlc-package-config.json", spec)
    calls = project.build("BUILD=-b", "OUTPUT=-o")
    assert "gen_config -b/one/model" in calls
    assert (project.root / "-o/bundle/one/tensor-cache.json").exists()


def test_a_second_build_runs_nothing(built: Project) -> None:
    built.forget_calls()
    done = built.scons("-Q")
    assert built.calls() == []
    assert done.stdout.splitlines() == [
        "scons: `mlc-package-config.json' is up to date.",
        "mlcx: 11 up to date, see dist/report.json",
    ]


def test_touching_every_file_runs_nothing(built: Project) -> None:
    for folder in ("models", "dist", "build"):
        for path in (built.root / folder).rglob("*"):
            os.utime(path, (time.time() + 10, time.time() + 10))
    assert built.build() == []
    assert built.build() == []


def test_a_dollar_sign_in_the_name_of_a_spec_means_itself(project: Project) -> None:
    (project.root / "mlc-package-config.json").rename(project.root / "a$b.json")
    assert project.build("a$b.json")[-1].startswith("normalize")


def test_a_clean_that_is_refused_removes_nothing(built: Project) -> None:
    before = set(built.root.rglob("*"))
    done = built.scons("-c", "mlc-package-config.json", "misspelt.json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert set(built.root.rglob("*")) == before


def test_folders_may_be_as_deep_as_the_disk_takes(project: Project) -> None:
    output = "/".join(letter * 60 for letter in "abcd")
    target = f"{output}/bundle/mlc-app-config.json"
    assert f"app_config {target}" in project.build(f"OUTPUT={output}", target)
    assert (project.root / f"build/log/{target}.log").exists()


def test_an_edit_that_keeps_the_time_stamp_is_seen(built: Project) -> None:
    source = built.root / "models/one/model.safetensors"
    before = source.stat()
    other = source.with_name("other")
    other.write_bytes(source.read_bytes()[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(source)
    assert source.stat().st_size == before.st_size
    calls = built.build()
    assert "convert_weight build/one/model" in calls
    assert not [call for call in calls if call.startswith("compile")]


def test_a_new_temperature_compiles_nothing(built: Project) -> None:
    built.edit("models/one/generation_config.json", temperature=0.9)
    assert built.build() == sorted([*ONE, NORMALIZE_ONE])
    chat = json.loads((built.root / "dist/bundle/one/mlc-chat-config.json").read_text())
    assert chat["temperature"] == 0.9
    assert built.build() == []


def test_a_new_context_window_compiles_its_library_only(built: Project) -> None:
    before = (built.root / "dist/lib/one.so").read_bytes()
    built.edit("models/one/config.json", context_window_size=128)
    convert = "convert_weight build/one/model"
    app = "app_config dist/bundle/mlc-app-config.json"
    assert built.build() == sorted([app, *ONE, NORMALIZE_ONE, COMPILE_ONE, convert])
    assert (built.root / "dist/lib/one.so").read_bytes() != before


def test_new_overrides_in_the_spec_compile_both_libraries(built: Project) -> None:
    overrides = {"context_window_size": 32}
    built.write_spec("mlc-package-config.json", "one", "two", overrides=overrides)
    calls = built.build()
    assert [call for call in calls if call.startswith("compile")] == [
        "compile dist/lib/one.so",
        "compile dist/lib/two.so",
    ]
    assert not [call for call in calls if call.startswith(("convert", "gen", "bundle"))]
    info = built.report()["dist/lib/one.so"]
    assert info["overrides"] == "context_window_size=32"


def test_new_weights_convert_and_bundle_only(built: Project) -> None:
    (built.root / "models/one/model.safetensors").write_bytes(b"other" * 900)
    assert built.build() == [
        "bundle dist/bundle/one",
        "convert_weight build/one/model",
    ]
    shard = built.root / "dist/bundle/one/params_shard_0.bin"
    assert shard.read_bytes() == b"other" * 450


def test_a_changed_tokenizer_reaches_the_bundle(built: Project) -> None:
    built.edit("models/one/tokenizer.json", vocab=["c"])
    calls = built.build()
    assert [call for call in calls if not call.startswith("normalize")] == ONE
    text = (built.root / "dist/bundle/one/tokenizer.json").read_text()
    assert json.loads(text)["vocab"] == ["c"]


def test_the_same_tree_elsewhere_is_up_to_date(built: Project) -> None:
    moved = built.root.with_name("moved")
    built.root.rename(moved)
    built.root = moved
    assert built.build("-j2", UNRELATED="x") == []


@pytest.mark.parametrize("job", ["build/one/model", "dist/bundle/one"])
@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_damaged_shard_is_made_again(built: Project, job: str, damage: str) -> None:
    clean = built.files()
    shard = built.root / job / "params_shard_1.bin"
    shard.unlink()
    if damage == "cut":
        shard.write_bytes(b"short")
    done = built.scons("-Q")
    assert done.returncode == 0, done.stderr
    assert f"{job}/params_shard_1.bin" in done.stdout
    assert built.files() == clean
    assert built.build() == []


def test_a_removed_tokenizer_is_bundled_again(built: Project) -> None:
    (built.root / "dist/bundle/one/tokenizer.json").unlink()
    assert built.build() == ["bundle dist/bundle/one"]


def test_what_was_made_again_is_not_made_again_for_a_touch(built: Project) -> None:
    (built.root / "build/one/model/params_shard_0.bin").unlink()
    built.build(MLC_JIT_POLICY="REDO")
    for path in built.root.rglob("*"):
        os.utime(path, (time.time() + 10, time.time() + 10))
    assert built.build() == []


def test_a_library_of_unknown_origin_is_compiled_again(project: Project) -> None:
    (project.root / "dist/lib").mkdir(parents=True)
    (project.root / "dist/lib/one.so").write_text("from elsewhere")
    assert COMPILE_ONE in project.build()


def test_one_target_builds_only_what_it_needs(project: Project) -> None:
    assert project.build("dist/lib/one.so") == sorted(
        ["gen_config build/one/model", NORMALIZE_ONE, COMPILE_ONE]
    )


def test_specs_are_named_as_targets(project: Project) -> None:
    for name in ("three", "four"):
        project.add_checkpoint(name)
        project.write_spec(f"{name}.json", name)
    delivery = {
        "tasks": [{"model_id": "four", "model": "models/four"}],
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q4f16_1"],
        "binary_libs_dir": "libs",
    }
    write_json(project.root / "four.json", delivery)
    calls = project.build("three.json", "four.json")
    compiled = [call for call in calls if call.startswith("compile")]
    assert compiled == [
        "compile dist/lib/three.so",
        "compile dist/libs/four/four-q4f16_1-cpu.so",
    ]
    assert project.build("four.json") == []


def test_two_specs_that_need_one_file_make_it_once(project: Project) -> None:
    task = {"model_id": "one", "model": "models/one"}
    for name in ("first.json", "second.json"):
        delivery = {
            "tasks": [task],
            "default_compile_options": [{"device": "cpu"}],
            "default_quantization": ["q4f16_1"],
            "binary_libs_dir": "libs",
        }
        write_json(project.root / name, delivery)
    calls = project.build("first.json", "second.json")
    assert len([call for call in calls if call.startswith("compile")]) == 1


def test_two_specs_that_clash_are_refused(project: Project) -> None:
    project.write_spec("other.json", "one")
    done = project.scons("mlc-package-config.json", "other.json")
    assert done.returncode == 2
    assert "dist/bundle/mlc-app-config.json: two jobs" in done.stderr
    assert project.calls() == []


def test_output_and_build_folders_can_be_named(project: Project) -> None:
    project.build("OUTPUT=out", "BUILD=obj")
    assert (project.root / "out/lib/one.so").exists()
    assert (project.root / "obj/log/out/lib/one.so.log").exists()
    assert not (project.root / "dist").exists()


def test_clean_removes_all_that_was_made_and_nothing_else(project: Project) -> None:
    before = set(project.root.rglob("*"))
    project.build()
    foreign = project.root / "dist/lib/notes.txt"
    foreign.write_text("mine")
    assert project.scons("-c").returncode == 0
    after = set(project.root.rglob("*")) - {project.root / ".sconsign.dblite"}
    assert after - before == {foreign, foreign.parent, foreign.parent.parent}
    assert before <= after
    foreign.unlink()
    project.scons("-c")
    assert not (project.root / "dist").exists()
    assert len(project.build()) == 11


def test_clean_removes_what_killed_steps_left(built: Project) -> None:
    left = [
        built.root / "dist/lib/.one.so.abcd1234",
        built.root / "build/one/model/.params_shard_7.bin.0123abcd",
        built.root / "build/one/model/params_shard_7.bin",
    ]
    for path in left:
        path.write_text("half")
    staging = built.root / "build/one/model/.partial"
    staging.mkdir()
    (staging / "params_shard_0.bin").write_text("half")
    built.scons("-c")
    assert not any(path.exists() for path in left)
    assert not (built.root / "build").exists()


def test_a_dry_run_changes_nothing(project: Project) -> None:
    done = project.scons("-n")
    assert done.stdout.splitlines()[-1] == "mlcx: 11 to build"
    assert project.calls() == []
    assert not (project.root / "dist").exists()
    assert not (project.root / "build").exists()
    project.build()
    project.scons("-n", "-c")
    assert (project.root / "dist/lib/one.so").exists()


def test_silent_prints_nothing(project: Project) -> None:
    done = project.scons("-s")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_verbose_prints_the_commands(project: Project) -> None:
    done = project.scons("VERBOSE=1", "dist/lib/one.so")
    assert "compile build/one/config/q4f16_1/compile-config.json --device cpu" in (
        done.stdout
    )


def test_help_lists_the_variables_also_without_a_spec(project: Project) -> None:
    (project.root / "mlc-package-config.json").unlink()
    done = project.scons("-h")
    for name in ("SPEC: ", "OUTPUT: ", "BUILD: ", "VERBOSE: "):
        assert name in done.stdout
    assert done.returncode == 0


def test_explain_names_the_input_that_changed(built: Project) -> None:
    built.edit("models/one/config.json", context_window_size=128)
    done = built.scons("--debug=explain")
    lines = " ".join(done.stdout.split())
    assert (
        "rebuilding `dist/lib/one.so' because "
        "`build/one/config/q4f16_1/compile-config.json' changed"
    ) in lines


def test_explain_names_no_input_that_stayed_as_it_was(built: Project) -> None:
    built.edit("models/one/generation_config.json", temperature=0.9)
    lines = " ".join(built.scons("--debug=explain").stdout.split())
    assert (
        "rebuilding `build/one/model/mlc-chat-config.json' because "
        "`models/one/generation_config.json' changed gen_config"
    ) in lines


def test_scons_loads_neither_tvm_nor_numpy(built: Project) -> None:
    done = built.scons("-Q", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = ("tvm", "tvm_ffi", "numpy", "jsonschema", "torch")
    assert "mlcx.scons.graph" in loaded
    assert not {name for name in loaded if name.partition(".")[0] in heavy}


def test_names_with_special_characters_reach_no_shell(project: Project) -> None:
    name = "a $HOME; touch pwned 'q' \"d\" $(id)"
    project.add_checkpoint(name)
    entry = {
        "model": f"models/{name}",
        "model_id": "odd",
        "quantization": "q4f16_1",
        "conv_template": "chatml",
        "bundle_weight": True,
    }
    spec = {"device": "cpu", "model_list": [entry]}
    write_json(project.root / "mlc-package-config.json", spec)
    project.build()
    assert (project.root / "dist/lib/odd.so").exists()
    assert not list(project.root.rglob("pwned*"))
    assert project.build() == []


def test_editing_a_source_of_mlcx_reruns_the_steps_that_load_it(
    project: Project, tmp_path: Path
) -> None:
    project.sources = copy_sources(project.sources, tmp_path / "sources")
    project.build()

    def edited(name: str) -> list[str]:
        with (project.sources / "mlcx" / name).open("a") as file:
            file.write("\n# edited\n")
        return sorted({call.split()[0] for call in project.build()})

    assert edited("runtime/__init__.py") == []
    assert edited("cli/__init__.py") == []
    assert edited("cli/run.py") == []
    assert edited("cli/convert.py") == ["convert_weight", "gen_config"]
    assert edited("compiler/__init__.py") == ["compile", "normalize"]
    assert edited("package/__init__.py") == ["app_config", "bundle", "gen_config"]
    assert edited("weights/__init__.py") == ["convert_weight", "gen_config"]


def test_the_sources_of_mlcx_can_lie_anywhere(built: Project, tmp_path: Path) -> None:
    built.sources = copy_sources(built.sources, tmp_path / "sources")
    assert built.build() == []


def test_a_log_begins_with_its_command(project: Project) -> None:
    project.build("dist/lib/one.so")
    log = (project.root / "build/log/dist/lib/one.so.log").read_text()
    command, output = log.splitlines()
    assert command.startswith("$ ")
    assert output == "working on dist/lib/one.so"
    (project.root / "dist/lib/one.so").unlink()
    subprocess.run(
        command[2:],
        shell=True,
        check=True,
        cwd=project.root,
        env={**os.environ, **project.environ},
    )
    assert (project.root / "dist/lib/one.so").exists()


def test_large_files_are_read_in_small_blocks_unless_somebody_says(
    project: Project,
) -> None:
    """SCons would take 64 MiB of them at a time, and have two of those."""
    script = project.root / "SConstruct"
    told = "import atexit\nfrom SCons.Node.FS import File\n"
    told += "atexit.register(lambda: print(File.hash_chunksize))\n"
    script.write_text(told + script.read_text())
    words = ("-n", "-s", "build/one/model/tensor-cache.json")
    assert project.scons(*words).stdout == f"{1 << 20}\n"
    assert project.scons(*words, "--hash-chunksize=8").stdout == f"{8 << 10}\n"
