"""Each violation of a schema, in the words that a person reads."""

from collections.abc import Callable
from typing import Any

import pytest

from mlcx.quant.scheme import SCHEMES
from mlcx.spec import check
from mlcx.spec.devices import DEVICES

NAME = (
    "expected a portable file name: letters, digits, '_', '-' and '.', starting with "
    "a letter, digit or '_' and not ending in '.'"
)
WINDOW = "expected a number of tokens, at least 1, or -1 for none"
OPT = 'expected O0, O1, O2 or O3, or flags such as "flashinfer=0;cudagraph=1"'
ONE_SCHEME = "one of " + ", ".join(f'"{name}"' for name in SCHEMES)
KEYS = (
    '"$schema", "device", "model_list", "quantization_recipes", '
    '"model_lib_path_for_prepare_libs"'
)

ENTRY: dict[str, tuple[dict[str, Any], str, str]] = {
    "misspelt key": (
        {"conv_templat": "x"},
        "/model_list/0/conv_templat",
        'model entry: unknown key "conv_templat"'
        ': expected one of "model", "model_id", "quantization", "conv_template", '
        '"float32", "estimated_vram_bytes", "bundle_weight", "overrides", "model_lib", '
        '"host", "mcpu", "archs", "verify"',
    ),
    "misspelt missing key": (
        {"model_id": ..., "modelid": "a"},
        "/model_list/0/modelid",
        'model entry: unknown key "modelid": did you mean "model_id"?',
    ),
    "other case": (
        {"model_id": ..., "Model-ID": "a"},
        "/model_list/0/Model-ID",
        'model entry: unknown key "Model-ID": did you mean "model_id"?',
    ),
    "missing key": (
        {"model_id": ...},
        "/model_list/0",
        'model entry: "model_id" is missing: add it',
    ),
    "unknown scheme": (
        {"quantization": "q4f16-1"},
        "/model_list/0/quantization",
        f'quantization: expected {ONE_SCHEME}, found "q4f16-1": did you mean '
        '"q4f16_1"?',
    ),
    "scheme like none": (
        {"quantization": 8},
        "/model_list/0/quantization",
        "quantization: expected a text in double quotes, found 8",
    ),
    "text for a switch": (
        {"bundle_weight": "yes"},
        "/model_list/0/bundle_weight",
        'bundle_weight: expected true or false, found "yes"',
    ),
    "fraction of a byte": (
        {"estimated_vram_bytes": 1.5},
        "/model_list/0/estimated_vram_bytes",
        "estimated_vram_bytes: expected a whole number, found 1.5",
    ),
    "negative size": (
        {"estimated_vram_bytes": -1},
        "/model_list/0/estimated_vram_bytes",
        "estimated_vram_bytes: expected at least 0, found -1",
    ),
    "misspelt template": (
        {"conv_template": "chat-ml"},
        "/model_list/0/conv_template",
        '"wizardlm_7b", found "chat-ml": did you mean "chatml"?',
    ),
    "id that leaves its folder": (
        {"model_id": "../a"},
        "/model_list/0/model_id",
        f'model_id: {NAME}, found "../a"',
    ),
    "hidden id": ({"model_id": ".a"}, "/model_list/0/model_id", f'{NAME}, found ".a"'),
    "id with a space": ({"model_id": "a b"}, "/model_list/0/model_id", '"a b"'),
    "id with a line break": ({"model_id": "a\n"}, "/model_list/0/model_id", '"a\\n"'),
    "id that ends in a dot": ({"model_id": "a."}, "/model_list/0/model_id", '"a."'),
    "empty id": ({"model_id": ""}, "/model_list/0/model_id", f'{NAME}, found ""'),
    "foreign letters": ({"model_id": "é"}, "/model_list/0/model_id", 'found "é"'),
    "very long id": (
        {"model_id": "a" * 129},
        "/model_list/0/model_id",
        f'expected a text of at most 128 characters, found "{"a" * 57}..."',
    ),
    "null id": (
        {"model_id": None},
        "/model_list/0/model_id",
        "model_id: expected a text in double quotes, found null",
    ),
    "number for a library": (
        {"model_lib": 3},
        "/model_list/0/model_lib",
        "model_lib: expected a text in double quotes or null, found 3",
    ),
    "web address": (
        {"model": "https://example.org/m"},
        "/model_list/0/model",
        "model: expected a folder, relative to this file, or HF://user/repository, "
        'found "https://example.org/m"',
    ),
    "half a repository": ({"model": "HF://m"}, "/model_list/0/model", '"HF://m"'),
    "triple with a space": (
        {"host": "a b"},
        "/model_list/0/host",
        'host: expected an LLVM triple such as "aarch64-linux-gnu", or auto, found '
        '"a b"',
    ),
    "CPU with a flag": (
        {"mcpu": "-march"},
        "/model_list/0/mcpu",
        'mcpu: expected an LLVM CPU name such as "x86-64-v3", or auto, found "-march"',
    ),
    "architectures with spaces": (
        {"archs": "80 90a"},
        "/model_list/0/archs",
        'archs: expected architectures of CUDA such as "sm_80,sm_90a", found "80 90a"',
    ),
}


@pytest.mark.parametrize(("change", "pointer", "message"), ENTRY.values(), ids=ENTRY)
def test_a_wrong_model_entry_is_explained(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    change: dict[str, Any],
    pointer: str,
    message: str,
) -> None:
    (problem,) = check([write(package(entry(**change)))])
    assert problem.pointer == pointer
    assert problem.message.endswith(message)


OVERRIDES: dict[str, tuple[str, object, str]] = {
    "unknown": (
        "contxt_window_size",
        1,
        'unknown key "contxt_window_size": did you mean "context_window_size"?',
    ),
    "text": ("prefill_chunk_size", "128", 'expected a whole number, found "128"'),
    "switch": ("max_batch_size", True, "expected a whole number, found true"),
    "no batch": ("max_batch_size", 0, "expected at least 1, found 0"),
    "no window": ("context_window_size", 0, f"{WINDOW}, found 0"),
    "negative": ("sliding_window_size", -2, f"{WINDOW}, found -2"),
    "too large": (
        "tensor_parallel_shards",
        2**31,
        "expected at most 2147483647, found 2147483648",
    ),
    "number": ("disaggregation", 1, "expected true or false, found 1"),
    "level": ("opt", "O4", f'{OPT}, found "O4"'),
    "flag": ("opt", "flash=1", f'{OPT}, found "flash=1"'),
    "value": ("opt", "cudagraph=2", f'{OPT}, found "cudagraph=2"'),
    "end": ("opt", "cudagraph=1;", f'{OPT}, found "cudagraph=1;"'),
}


@pytest.mark.parametrize(("key", "value", "message"), OVERRIDES.values(), ids=OVERRIDES)
def test_a_wrong_override_is_explained(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    key: str,
    value: object,
    message: str,
) -> None:
    (problem,) = check([write(package(entry(overrides={key: value})))])
    assert problem.pointer == f"/model_list/0/overrides/{key}"
    assert problem.message.endswith(f": {message}")


DEVICE_NAMES = ", ".join(f'"{name}"' for name in DEVICES)

ROOT: dict[str, tuple[dict[str, Any], str]] = {
    "no such device": (
        {"device": "toaster"},
        f'device: expected one of {DEVICE_NAMES}, found "toaster"',
    ),
    "an unknown key": (
        {"models": []},
        f'package config: unknown key "models": expected one of {KEYS}',
    ),
    "an object for a list": (
        {"model_list": {"a": 1}},
        "model_list: expected a list […], found an object",
    ),
    "a number for an entry": (
        {"model_list": [7]},
        "model_list[0]: expected an object {…}, found 7",
    ),
    "a library's name": (
        {"model_lib_path_for_prepare_libs": {"x y": "checkpoint"}},
        f'{NAME}, found "x y"',
    ),
}


@pytest.mark.parametrize(("change", "message"), ROOT.values(), ids=ROOT)
def test_a_wrong_package_config_is_explained(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    change: dict[str, Any],
    message: str,
) -> None:
    problems = check([write(package(**change))])
    assert message in [problem.message for problem in problems]


def test_an_unknown_key_stands_where_it_is_written_a_missing_one_at_its_object(
    write: Callable[..., str],
) -> None:
    spec = '{\n  "model_list": [],\n  "extra": 1\n}'
    assert [str(problem) for problem in check([write(spec)])] == [
        'spec.json:1:1: package config: "device" is missing: add it',
        f'spec.json:3:3: package config: unknown key "extra": expected one of {KEYS}',
    ]


def test_every_unknown_and_every_missing_key_is_reported(
    write: Callable[..., str],
) -> None:
    problems = check([write({"tasks": [{"x": 1, "y": 2}]})])
    missing = ["binary_libs_dir", "default_compile_options", "default_quantization"]
    assert [problem.message for problem in problems][:3] == [
        f'delivery spec: "{key}" is missing: add it' for key in missing
    ]
    assert [problem.pointer for problem in problems][3:] == [
        "/tasks/0",
        "/tasks/0",
        "/tasks/0/x",
        "/tasks/0/y",
    ]


def test_violations_and_broken_rules_of_one_file_come_together(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
) -> None:
    spec = package(entry(quantization="q9"), entry(), entry(model="missing"))
    pointers = [problem.pointer for problem in check([write(spec)])]
    assert pointers == [
        "/model_list/0/quantization",
        "/model_list/1/model_id",
        "/model_list/2/model",
        "/model_list/2/model_id",
    ]
