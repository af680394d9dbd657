"""What only a look at the whole package config, or at the models, can refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.spec import check

BUNDLE = "the app can reach a local model only in its bundle"
BOTH = "sliding_window_size 8 and context_window_size 16 exclude each other"

ENTRY: dict[str, tuple[dict[str, Any], str, str]] = {
    "missing model": (
        {"model": "chekpoint"},
        "/model_list/0/model",
        'there is no folder {here}/chekpoint: did you mean "checkpoint"?',
    ),
    "missing model like none": (
        {"model": "../elsewhere/qqq"},
        "/model_list/0/model",
        "there is no folder {here.parent}/elsewhere/qqq",
    ),
    "a file": (
        {"model": "checkpoint/config.json"},
        "/model_list/0/model",
        "expected a folder, found the file {here}/checkpoint/config.json: name the "
        "folder it is in",
    ),
    "no model": (
        {"model": "nothing"},
        "/model_list/0/model",
        "the folder {here}/nothing holds neither config.json, as a Hugging Face "
        "checkpoint does, nor mlc-chat-config.json, as an MLC model directory does",
    ),
    "a path too long": (
        {"model": "a" * 300},
        "/model_list/0/model",
        "there is no folder {here}/" + "a" * 300,
    ),
    "a repository": (
        {"model": "HF://user/repo"},
        "/model_list/0/model",
        "HF://user/repo is not pinned yet: run mlcx lock spec.json",
    ),
    "a page of another host": (
        {"model": "https://example.com/user/repo"},
        "/model_list/0/model",
        "models come from https://huggingface.co, not from "
        "https://example.com/user/repo: name a folder, or HF://user/repository, with "
        "@revision if not its main branch",
    ),
    "a checkpoint without a scheme": (
        {"quantization": ...},
        "/model_list/0",
        'model entry: "quantization" is missing, which a checkpoint needs: add it, '
        'such as "q4f16_1"',
    ),
    "a checkpoint without a template": (
        {"conv_template": ...},
        "/model_list/0",
        'model entry: "conv_template" is missing, which a checkpoint needs: add it, '
        'such as "chatml"',
    ),
    "architectures of another device": (
        {"archs": "sm_80"},
        "/model_list/0/archs",
        "archs are of CUDA, which cpu does not have: remove them",
    ),
    "another scheme": (
        {"model": "mlc", "conv_template": ..., "quantization": "q0f32"},
        "/model_list/0/quantization",
        'expected "q4f16_1", which the weights in mlc are in, found "q0f32": remove '
        "this, or name a checkpoint",
    ),
    "another template": (
        {"model": "mlc"},
        "/model_list/0/conv_template",
        "an MLC model directory has its own conversation template: remove this",
    ),
    "how to store what is stored": (
        {"model": "mlc", "conv_template": ..., "float32": "raw"},
        "/model_list/0/float32",
        "an MLC model directory has its own weights: remove this",
    ),
    "no weights": (
        {"model": "weightless", "conv_template": ...},
        "/model_list/0/model",
        "there are no weights to bundle: {here}/weightless has no tensor-cache.json",
    ),
    "no weights to convert": (
        {"model": "unweighted"},
        "/model_list/0/model",
        "there are no weights to bundle: {here}/unweighted has no "
        "model.safetensors.index.json and no model.safetensors and no "
        "pytorch_model.bin.index.json and no pytorch_model.bin",
    ),
    "not bundled": (
        {"bundle_weight": False},
        "/model_list/0/bundle_weight",
        f"expected true, as {BUNDLE}, found false",
    ),
    "bundling left out": (
        {"bundle_weight": ...},
        "/model_list/0",
        f'model entry: "bundle_weight" is missing: set it to true, as {BUNDLE}',
    ),
    "a device of Windows": (
        {"model_id": "NUL.q4"},
        "/model_list/0/model_id",
        '"NUL.q4" is no file name on Windows: choose another',
    ),
    "a library like a device of Windows": (
        {"model_lib": "com1"},
        "/model_list/0/model_lib",
        '"com1" is no file name on Windows: choose another',
    ),
    "the app config's name": (
        {"model_id": "MLC-App-Config.json"},
        "/model_list/0/model_id",
        "mlc-app-config.json is the name of a file in the same folder: choose another",
    ),
    "two windows": (
        {"overrides": {"context_window_size": 16, "sliding_window_size": 8}},
        "/model_list/0/overrides/sliding_window_size",
        f"{BOTH}: remove one, or set it to -1",
    ),
}


@pytest.mark.parametrize(("change", "pointer", "message"), ENTRY.values(), ids=ENTRY)
def test_an_entry_that_breaks_a_rule_is_explained(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    here: Path,
    change: dict[str, Any],
    pointer: str,
    message: str,
) -> None:
    (problem,) = check([write(package(entry(**change)))])
    assert problem.pointer == pointer
    assert problem.message == message.format(here=here)
    assert problem.line > 0


@pytest.mark.parametrize("second", ["tiny", "TINY"])
def test_a_model_id_is_given_once_whatever_its_case(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    second: str,
) -> None:
    entries = [entry(model_id=each) for each in ("tiny", "b", second, "tiny")]
    problems = check([write(package(*entries))])
    assert [(each.pointer, each.message) for each in problems] == [
        (
            f"/model_list/{index}/model_id",
            f'the model_id "{name}" is taken, in line 6: choose another',
        )
        for index, name in ((2, second), (3, "tiny"))
    ]


def test_a_broken_model_config_is_reported_in_its_own_file(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    config = here / "checkpoint" / "config.json"
    config.write_text('{\n"a": }')
    (problem,) = check([write(package())])
    assert str(problem).startswith(f"{config}:2:6: not JSON: ")


def test_an_architecture_that_is_not_there_is_told_before_any_step(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    config = here / "checkpoint" / "config.json"
    config.write_text('{"model_type": "lama"}')
    (problem,) = check([write(package())])
    assert problem.file == str(config)
    assert problem.message.startswith('model_type: expected one of "codegen", ')
    assert problem.message.endswith('found "lama": did you mean "llama"?')


LIBRARIES = "model_lib_path_for_prepare_libs"


def test_a_model_directory_with_its_library_may_be_of_any_architecture(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], entry: Any
) -> None:
    (Path("mlc") / "mlc-chat-config.json").write_text(
        '{"model_type": "chatglm", "quantization": "q4f16_1"}'
    )
    Path("lib.so").touch()
    given = entry(
        model="mlc", model_lib="x", quantization=..., conv_template=..., verify=...
    )
    (problem,) = check([write(package(given))])
    assert problem.message.endswith('found "chatglm"')
    assert not check([write(package(given, **{LIBRARIES: {"x": "lib.so"}}))])


@pytest.mark.parametrize(
    ("libraries", "pointer", "message"),
    [
        ({"more": "no.so"}, "more", "there is no file {here}/no.so"),
        ({"xlib": "checkpoint"}, "xlib", "there is no file {here}/checkpoint"),
        (
            {"xlib": "x.tar"},
            "xlib",
            'expected a .so file, as for the device cpu, found "x.tar"',
        ),
        (
            {"xlib_": "x.so"},
            "xlib_",
            'no entry of model_list has "model_lib": "xlib_": did you mean "xlib"?',
        ),
        (
            {"xlib": "x.so", "XLIB": "x.so"},
            "XLIB",
            'no entry of model_list has "model_lib": "XLIB", but one is compiled under '
            "that name: give it, or choose another",
        ),
    ],
)
def test_a_ready_made_library_must_be_there_and_be_meant(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    here: Path,
    libraries: dict[str, str],
    pointer: str,
    message: str,
) -> None:
    (here / "x.so").touch()
    (here / "x.tar").touch()
    spec = package(entry(model_lib="xlib"), **{LIBRARIES: libraries})
    (problem,) = check([write(spec)])
    assert problem.pointer == f"/{LIBRARIES}/{pointer}"
    assert problem.message == message.format(here=here)


def test_a_library_of_the_default_name_is_not_taken_by_chance(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    (here / "x.so").touch()
    (problem,) = check([write(package(**{LIBRARIES: {"a": "x.so"}}))])
    assert problem.message == (
        'no entry of model_list has "model_lib": "a", but one is compiled under that '
        "name: give it, or choose another"
    )
