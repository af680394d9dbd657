from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcx.errors import BuildError
from mlcx.scons import disk
from mlcx.steps.estimate import memory, written
from mlcx.steps.requests import Request

MODEL = "model.safetensors"


def conversion(root: Path, scheme: str = "q4f16_1", **config: object) -> Request:
    """Return the conversion of a checkpoint of 16,000 bytes."""
    folder = root / "checkpoint"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / MODEL).write_bytes(bytes(16_000))
    sources = (folder / "config.json", folder / MODEL)
    target = root / "build/one/model/tensor-cache.json"
    options = ("--quantization", scheme)
    return Request("convert_weight", (target,), sources, options)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("q4f16_1", 4000),
        ("q3f16_0", 3000),
        ("q8f16_1", 8000),
        ("q0f16", 16_000),
        ("q0f32", 16_000),
        ("e4m3_e4m3_f16", 8000),
        ('{"name":"mine","base":"q4f16_1","layers":{}}', 4000),
        ("another", 0),
    ],
)
def test_a_conversion_writes_at_least_its_bits(
    tmp_path: Path, scheme: str, expected: int
) -> None:
    assert written(conversion(tmp_path, scheme)) == expected


def test_wide_weights_shrink_more(tmp_path: Path) -> None:
    assert written(conversion(tmp_path, torch_dtype="float32")) == 2000


def test_what_an_interrupted_conversion_has_written_is_there(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    request.output.mkdir(parents=True)
    (request.output / "params_shard_0.bin").write_bytes(bytes(1500))
    assert written(request) == 2500


def test_a_bundle_on_one_disk_adds_nothing(tmp_path: Path) -> None:
    index = conversion(tmp_path).targets[0]
    index.parent.mkdir(parents=True)
    record = {"dataPath": "params_shard_0.bin", "nbytes": 1500}
    index.write_text(json.dumps({"records": [record]}))
    index.with_name("params_shard_0.bin").write_bytes(bytes(1500))
    target = tmp_path / "dist/bundle/one/tensor-cache.json"
    assert written(Request("bundle", (target,), (index,))) == 0


def test_a_build_is_refused_with_numbers_before_it_begins(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    disk.check([request], lambda _: None, lambda _: 4000)
    with pytest.raises(BuildError) as caught:
        disk.check([request], lambda _: None, lambda _: 3000)
    assert str(caught.value) == (
        f"the disk of {tmp_path} has 3 kB left, and at least 4 kB are to be written: "
        "free 1 kB, or name folders on another disk with OUTPUT= and BUILD=\n"
        f"  4 kB by convert_weight into {request.output}"
    )


def test_what_a_step_made_before_is_what_it_will_need(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    with pytest.raises(BuildError, match="at least 5 kB"):
        disk.check([request], lambda _: 5000, lambda _: 4999)


def test_what_is_there_needs_no_room(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    request.output.mkdir(parents=True)
    request.targets[0].write_text("{}")
    disk.check([request], lambda _: 5000, lambda _: 0)


def test_running_a_model_takes_the_memory_of_its_weights(tmp_path: Path) -> None:
    index = tmp_path / "tensor-cache.json"
    index.write_text('{"records": [{"dataPath": "a.bin", "nbytes": 1500}]}')
    (tmp_path / "a.bin").write_bytes(bytes(1500))
    target = tmp_path / "figures.json"
    other = memory(Request("measure-quality", (target,), (tmp_path / "b.so",)))
    assert memory(Request("measure-quality", (target,), (index,))) == other + 1500
    assert memory(Request("compile", (target,), ())) > 320 << 20
