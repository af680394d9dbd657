"""The stamp: found in any content, whole or not at all, and enough to build again."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import Any

import pytest
from described import metadata, stamp, stored

from mlcx.stamp import KEY, find


def test_a_stamp_is_found_as_it_was_put_in() -> None:
    made = stamp(cpu_features=["avx2"], system_lib_prefix="tiny_")
    (found,) = find(stored(metadata(made)))
    assert found.stamp == made
    assert dataclasses.asdict(made)["device"] == "cpu"


def test_every_model_of_an_archive_is_found() -> None:
    both = stored(metadata(stamp())) + stored(metadata(stamp(opt="O3")))
    assert [each.stamp.opt for each in find(both) if each.stamp] == ["O2", "O3"]


def test_a_library_of_mlc_llm_is_found_without_a_stamp() -> None:
    (found,) = find(stored(metadata()))
    assert found.stamp is None
    assert found.metadata["model_type"] == "llama"
    assert found.command("x.so") is None


def test_a_stamp_of_another_version_is_not_misread() -> None:
    later = {**metadata(stamp()), KEY: {"stamp": 2}}
    (found,) = find(stored(later))
    assert found.stamp is None
    assert KEY in found.metadata


def test_a_stamp_that_lacks_a_field_is_none() -> None:
    short = metadata(stamp())
    del short[KEY]["opt"]
    (found,) = find(stored(short))
    assert found.stamp is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", None),
        ("tvm", 27),
        ("target", {}),
        ("target", {"kind": "llvm"}),
        ("target", {"kind": "llvm", "host": "x86_64"}),
        ("target", {"kind": "llvm", "host": {"mtriple": None}}),
        ("cpu_features", "avx2"),
        ("cpu_features", [1]),
        ("system_lib_prefix", 3),
        ("recipe", "q4f16_1"),
        ("overrides", [["opt", 1]]),
        ("overrides", {"context_window_size": "64"}),
        ("abi", {"f": 6}),
    ],
)
def test_a_stamp_with_a_field_of_another_kind_is_none(field: str, value: Any) -> None:
    (found,) = find(stored(metadata(stamp(**{field: value}))))
    assert found.stamp is None
    assert found.command("x.so") is None


def test_text_that_only_looks_like_metadata_is_passed_over() -> None:
    whole = stored(metadata(stamp()))
    text = json.dumps(metadata(stamp())).encode()
    assert list(find(whole[:-40])) == []
    assert list(find(text)) == []
    assert list(find(stored({"model_type": "llama", "params": 3}))) == []
    assert list(find(stored(metadata(quantization=4)))) == []
    assert list(find(stored({"model_type": "llama", "params": []}))) == []
    deep = b'{"model_type": ' + b"[" * 100_000
    assert list(find(len(deep).to_bytes(8, "little") + deep)) == []
    assert list(find(b"")) == []


def test_the_command_names_what_was_asked_for() -> None:
    (found,) = find(stored(metadata(stamp(system_lib_prefix="tiny_"))))
    words = shlex.split(found.command("a b.tar") or "")
    assert words[:3] == ["mlcx", "compile", "MODEL"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert given == {
        "--quantization": "q4f16_1",
        "--device": "cpu",
        "--opt": "O2",
        "--overrides": "context_window_size=64;sliding_window_size=-1",
        "--host": "x86_64-linux-gnu",
        "--mcpu": "x86-64",
        "--system-lib-prefix": "tiny_",
        "-o": "a b.tar",
    }


def test_the_command_for_cuda_names_the_architectures() -> None:
    target = {**stamp().target, "kind": "cuda", "arch": "sm_80,sm_90a"}
    (found,) = find(stored(metadata(stamp(device="cuda", target=target))))
    assert "--archs sm_80,sm_90a" in (found.command("x.so") or "")
    assert "--archs" not in (found.command("x.so", "cpu") or "")


def test_the_command_for_another_device_leaves_the_machine_open() -> None:
    (found,) = find(stored(metadata(stamp(device="cuda", system_lib_prefix="x_"))))
    command = found.command("x.so", "cpu") or ""
    assert "--device cpu" in command
    assert not any(f"--{name}" in command for name in ("host", "mcpu", "system"))


def test_the_command_of_a_mixed_quantization_holds_its_recipe() -> None:
    recipe = {"base": "q4f16_1", "layers": {"lm_head": "q0f16"}}
    made = metadata(stamp(recipe=recipe), quantization="own")
    (found,) = find(stored(made))
    words = shlex.split(found.command("x.so") or "")
    assert json.loads(words[4]) == {"name": "own", **recipe}
