from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import one_layer
import pytest

from mlcx.artifact import BUILD_NAMES
from mlcx.signature import inputs
from mlcx.spec.types import (
    BundleJob,
    LibraryJob,
    Plan,
    PrebuiltJob,
    QuantizationRecipe,
    Use,
    WeightsJob,
)
from mlcx.steps import requests
from mlcx.steps.requests import Folders, Request

SAMPLE = Path(__file__).parents[2] / "specs/sample-model"
FOLDERS = Folders(Path("/top/dist"), Path("/top/build"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    for name in (
        "config.json",
        "tokenizer.json",
        "README.md",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "consolidated.safetensors",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors",'
        ' "b": "model-00002-of-00002.safetensors"}}'
    )
    return tmp_path


def library(model: Path, **changes: object) -> LibraryJob:
    job = LibraryJob(
        model_id="m",
        model=model,
        kind="checkpoint",
        quantization="q4f16_1",
        device="cpu",
        opt="O2",
        overrides=(),
        system_lib_prefix=None,
        host="auto",
        mcpu="auto",
        library="lib/m.so",
    )
    return replace(job, **changes)


def plan_of(model: Path) -> Plan:
    weights = WeightsJob("m", model, "q4f16_1", "chatml", "m/model")
    bundle = BundleJob("m", model, "checkpoint", "m/model", "bundle/m")
    spec = Path("/top/spec.json")
    return Plan(spec, "package", (weights,), (library(model),), (bundle,), ())


def test_a_recipe_is_handed_to_every_verb_that_reads_it(checkpoint: Path) -> None:
    recipe = QuantizationRecipe("q4f16_1", (("*.down_proj", "q0f16"),))
    plan = plan_of(checkpoint)
    mixed = {"quantization": "m", "recipe": recipe}
    weights = tuple(replace(job, **mixed) for job in plan.weights)
    libraries = tuple(replace(job, **mixed) for job in plan.libraries)
    whole = replace(plan, weights=weights, libraries=libraries)
    made = by_verb(whole)
    text = '{"name":"m","base":"q4f16_1","layers":{"*.down_proj":"q0f16"}}'
    for verb in ("gen_config", "convert_weight"):
        assert made[verb].options[:2] == ("--quantization", text)
    assert text not in made["compile"].options
    # The config that was made with it says it to whoever reads that.
    assert made["normalize"].options == ()
    alone = by_verb(replace(whole, weights=(), bundles=()))
    assert alone["normalize"].options[:2] == ("--quantization", text)


def test_float32_is_kept_as_it_is_where_a_job_says_so(checkpoint: Path) -> None:
    plan = plan_of(checkpoint)
    exact = replace(plan, weights=(replace(plan.weights[0], exact_float32=True),))
    as_mlc_does = ("--quantization", "q4f16_1")
    assert by_verb(plan)["convert_weight"].options == as_mlc_does
    raw = (*as_mlc_does, "--float32", "raw")
    assert by_verb(exact)["convert_weight"].options == raw


@pytest.mark.parametrize(
    ("distribution", "verb"),
    [
        ("tokenizers", "gen_config"),
        ("msgpack", "gen_config"),
        ("numpy", "convert_weight"),
        ("ml_dtypes", "convert_weight"),
    ],
)
def test_another_version_of_what_writes_a_file_is_another_step(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, distribution: str, verb: str
) -> None:
    before, known = by_verb(plan_of(checkpoint)), inputs.version_of
    other = {distribution: "9.9"}
    monkeypatch.setattr(inputs, "version_of", lambda n: other.get(n, known(n)))
    inputs.installed.cache_clear()
    after = by_verb(plan_of(checkpoint))
    inputs.installed.cache_clear()
    changed = [each for each, request in after.items() if request != before[each]]
    assert changed == [verb]


def by_verb(plan: Plan) -> dict[str, Request]:
    return {request.verb: request for request in requests.plan(plan, FOLDERS)}


def test_every_step_reads_what_another_step_makes(checkpoint: Path) -> None:
    found = by_verb(plan_of(checkpoint))
    assert list(found) == [
        "gen_config",
        "convert_weight",
        "normalize",
        "compile",
        "bundle",
        "app_config",
    ]
    chat = Path("/top/build/m/model/mlc-chat-config.json")
    assert found["gen_config"].targets == (chat, chat.with_name("tokenizer.json"))
    assert found["normalize"].sources == (chat,)
    assert found["compile"].sources == found["normalize"].targets
    assert set(found["bundle"].sources) == {
        *found["gen_config"].targets,
        *found["convert_weight"].targets,
    }
    assert found["app_config"].after == found["bundle"].targets


def test_steps_read_the_files_that_matter_to_them(checkpoint: Path) -> None:
    found = by_verb(plan_of(checkpoint))

    def names(verb: str) -> list[str]:
        return [path.name for path in found[verb].sources]

    assert names("gen_config") == ["config.json", "tokenizer.json"]
    assert names("convert_weight") == [
        "config.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


def test_a_library_without_weights_is_compiled_from_the_checkpoint(
    checkpoint: Path,
) -> None:
    plan = replace(plan_of(checkpoint), weights=(), bundles=())
    assert by_verb(plan)["normalize"].sources == (
        checkpoint / "config.json",
        checkpoint / "tokenizer.json",
    )


def test_a_library_of_a_model_directory_is_compiled_from_its_config() -> None:
    job = library(Path("/m"), kind="mlc", quantization=None)
    assert requests.model_config(job) == Path("/m/mlc-chat-config.json")


def test_options_are_the_command_lines_of_the_verbs(checkpoint: Path) -> None:
    job = library(
        checkpoint,
        overrides=(("context_window_size", 64), ("disaggregation", True)),
        system_lib_prefix="m_",
        mcpu="x86-64-v3",
    )
    config, target = checkpoint / "config.json", Path("/top/dist/lib/m.so")
    normalize, compile_ = requests.library(job, config, target, FOLDERS)
    assert normalize.options == (
        "--quantization",
        "q4f16_1",
        "--overrides",
        "context_window_size=64;disaggregation=true",
    )
    assert " ".join(compile_.options) == (
        "--device cpu --opt O2 --host auto --mcpu x86-64-v3 --system-lib-prefix m_"
    )


def test_architectures_are_an_option_and_take_a_tool(checkpoint: Path) -> None:
    job = library(checkpoint, device="cuda", archs=("sm_80", "sm_90a"))
    config, target = checkpoint / "config.json", Path("/top/dist/lib/m.so")
    _, compile_ = requests.library(job, config, target, FOLDERS)
    assert compile_.options[-2:] == ("--archs", "sm_80,sm_90a")
    assert any("fatbinary" in dict(fact.parts) for fact in compile_.facts)


def test_libraries_for_two_devices_share_one_config(checkpoint: Path) -> None:
    config = checkpoint / "config.json"
    targets = [Path("/top/dist/lib/a.so"), Path("/top/dist/lib/b.tar")]
    pairs = [
        list(requests.library(library(checkpoint, device=name), config, each, FOLDERS))
        for name, each in zip(("cpu", "iphone"), targets, strict=True)
    ]
    assert pairs[0][0] == pairs[1][0]
    assert pairs[0][1] != pairs[1][1]


def test_two_models_of_one_name_have_configs_of_their_own(tmp_path: Path) -> None:
    one, other = str(tmp_path / "a" / "m"), str(tmp_path / "b" / "M")
    for model in (one, other):
        Path(model).mkdir(parents=True)
    devices = {"cuda": one, "metal": other, "cpu": one}
    jobs = [
        library(Path(model), model_id=Path(model).name, device=device, library=device)
        for device, model in devices.items()
    ]
    plan = Plan(Path("/top/spec.json"), "delivery", (), tuple(jobs), (), ())
    made = [each for each in requests.plan(plan, FOLDERS) if each.verb == "normalize"]
    folders = [each.output.relative_to(FOLDERS.build).parts[0] for each in made]
    assert (folders[0], folders[2]) == ("m", "m")
    assert folders[1].startswith("M-")
    assert [str(each.sources[0].parent) for each in made] == [*devices.values()]


def test_other_overrides_have_another_config(checkpoint: Path) -> None:
    config, target = checkpoint / "config.json", Path("/top/dist/lib/m.so")
    jobs = [library(checkpoint, overrides=(("max_batch_size", n),)) for n in (1, 2)]
    made = [next(requests.library(job, config, target, FOLDERS)) for job in jobs]
    assert made[0].targets != made[1].targets


@pytest.mark.parametrize(
    ("host", "mcpu", "parts"),
    [
        ("auto", "auto", ["architecture", "system", "cpu"]),
        ("auto", "x86-64-v3", ["architecture", "system"]),
        ("aarch64-linux-gnu", "auto", []),
    ],
)
def test_a_library_depends_on_as_much_of_this_machine_as_it_is_made_for(
    host: str, mcpu: str, parts: list[str]
) -> None:
    """On nothing, on the architecture, or on the CPU too."""
    job = library(Path("/m"), host=host, mcpu=mcpu)
    made = list(requests.library(job, Path("/c"), Path("/l"), FOLDERS))[1]
    named = [fact.parts for fact in made.facts if fact.name == "host"]
    assert [name for fact in named for name, _ in fact] == parts


def test_a_compile_depends_on_tvm_and_the_linker() -> None:
    made = list(requests.library(library(Path("/m")), Path("/c"), Path("/l"), FOLDERS))[
        1
    ]
    kinds = [fact.name for fact in made.facts]
    assert kinds == ["sources of mlcx.compiler", "TVM", "tools", "host"]


def test_a_prebuilt_library_is_taken_over(checkpoint: Path) -> None:
    uses = (Use(checkpoint, "checkpoint", "q4f16_1"), Use(Path("/mlc"), "mlc", None))
    source = Path("/elsewhere/a.tar")
    ready = PrebuiltJob("lib", source, "lib/lib.tar", "iphone", "auto", uses)
    plan = replace(plan_of(checkpoint), libraries=(), prebuilt=(ready,))
    made = by_verb(plan)["prebuilt"]
    assert made.models == (source,)
    assert made.output == Path("/top/dist/lib/lib.tar")
    configs = (checkpoint / "config.json", Path("/mlc/mlc-chat-config.json"))
    assert made.sources == (source, *configs)
    assert made.files == tuple(("--model", config) for config in configs)
    schemes = ("--quantization", "q4f16_1", "--quantization", "auto")
    assert made.options == ("--device", "iphone", "--host", "auto", *schemes)


def test_verbs_on_folders_get_folders(checkpoint: Path) -> None:
    found = by_verb(plan_of(checkpoint))
    assert found["convert_weight"].models == (checkpoint,)
    assert found["convert_weight"].output == Path("/top/build/m/model")
    assert found["bundle"].models == (Path("/top/build/m/model"),)
    assert found["bundle"].output == Path("/top/dist/bundle/m")


def test_libraries_for_the_web_share_one_runtime_and_depend_on_it() -> None:
    model = Path("/models/m-MLC")
    asked = [
        request
        for device in ("webgpu", "webgpu:subgroups")
        for request in requests.library(
            library(model, device=device, library=f"{device}.wasm"),
            model / "mlc-chat-config.json",
            FOLDERS.output / f"{device}.wasm",
            FOLDERS,
        )
    ]
    first, second = (each for each in asked if each.verb == "web_runtime")
    assert first == second
    assert first.models == first.sources == ()
    for each in asked:
        if each.verb == "compile":
            assert each.files == (("--web-runtime", first.output),)
            assert first.output in each.sources
            assert each.models == each.sources[:1]


def test_bitcode_that_is_given_is_what_the_runtime_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "web/dist/wasm"
    folder.mkdir(parents=True)
    names = ("wasm_runtime", "webgpu_runtime", "tvmjs_support")
    files = tuple(folder / f"{name}.bc" for name in names)
    for file in files:
        file.write_bytes(b"BC")
    monkeypatch.setenv("TVM_HOME", str(tmp_path))
    job, target = library(tmp_path, device="webgpu"), FOLDERS.output / "m.wasm"
    asked = requests.library(job, tmp_path / "config.json", target, FOLDERS)
    runtime = next(each for each in asked if each.verb == "web_runtime")
    assert runtime.sources == runtime.models == files


READ_HERE = """\
import sys
from mlcx.__main__ import main

def hear(event, args):
    if event == "open" and isinstance(args[0], str):
        heard.add(args[0])

heard = set()
sys.addaudithook(hear)
model = sys.argv[1]
options = ["--quantization", "q0f16", "--conv-template", "chatml", "-o", sys.argv[2]]
assert main(["gen_config", model, *options]) == 0
print(*(path for path in heard if path.startswith(f"{model}/")), sep="\\n")
"""


def test_a_config_depends_on_what_is_read_for_it_alone(tmp_path: Path) -> None:
    """A spec may lie beside the checkpoint, as `mlcx init .` writes it."""
    model = one_layer.write(tmp_path / "m")
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SAMPLE / name, model)
    (model / "chat_template.jinja").write_text("{{ messages[0].content }}")
    for name in ("mlc-package-config.json", "mlcx.lock.json", "notes.txt"):
        (model / name).write_text("{}")
    command = [sys.executable, "-c", READ_HERE, str(model), str(tmp_path / "out")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    read = {line for line in done.stdout.splitlines() if line.startswith(f"{model}/")}
    job = WeightsJob("m", model, "q0f16", "chatml", "m/model")
    gen_config = next(requests.weights(job, tmp_path / "out"))
    sources = {str(path) for path in gen_config.sources}
    assert len(read) == 5
    assert read == sources


@pytest.mark.parametrize("name", sorted({*BUILD_NAMES, "Web"}))
def test_a_model_that_is_called_as_what_a_build_keeps_has_its_folder_apart(
    checkpoint: Path, name: str
) -> None:
    plan, given = plan_of(checkpoint), {"model_id": name}
    named = replace(
        plan,
        weights=(replace(plan.weights[0], **given, directory=f"{name}/model"),),
        libraries=(replace(plan.libraries[0], **given),),
        bundles=(replace(plan.bundles[0], **given, source=f"{name}/model"),),
    )
    asked = list(requests.plan(named, FOLDERS))
    made = {path for request in asked for path in request.targets}
    built = {each for each in made if each.is_relative_to(FOLDERS.build)}
    (folder,) = {each.relative_to(FOLDERS.build).parts[0] for each in built}
    assert folder.startswith(f"{name}-")
    (bundle,) = (each for each in asked if each.verb == "bundle")
    assert {*bundle.sources} <= made
