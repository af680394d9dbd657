from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import InputError
from mlcx.runtime.metadata import Parameter
from mlcx.runtime.weights import check

PARAMETERS = [
    Parameter("embed.q_weight", ("vocab_size", 4), "uint32"),
    Parameter("norm.weight", (8,), "float16"),
    Parameter("bias", (3,), "float32"),
]

RECORDS: list[dict[str, Any]] = [
    {"name": "embed.q_weight", "shape": [6, 4], "dtype": "uint32", "nbytes": 96},
    {"name": "norm.weight", "shape": [8], "dtype": "float16", "nbytes": 16},
    {"name": "bias", "shape": [3], "dtype": "float32", "nbytes": 6},
]


def index(folder: Path, change: dict[str, Any], tensor: int = 1) -> None:
    """Write one shard of 118 bytes and its index, one record changed."""
    records, offset = [], 0
    for record in RECORDS:
        records.append({"format": "f32-to-bf16", "byteOffset": offset, **record})
        offset += record["nbytes"]
    records[tensor] |= change
    shard = {"dataPath": "params_shard_0.bin", "format": "raw-shard", "nbytes": 118}
    value = {"metadata": {}, "records": [{**shard, "records": records}]}
    (folder / "tensor-cache.json").write_text(json.dumps(value))
    (folder / "params_shard_0.bin").write_bytes(bytes(118))


def test_weights_that_fit_pass(tmp_path: Path) -> None:
    index(tmp_path, {})
    check(tmp_path, PARAMETERS, {"vocab_size": 6})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "nrom.weight"}, "no weight norm.weight"),
        (
            {"shape": [4, 2]},
            r"norm.weight: the library takes float16 \[8\], found float16 \[4, 2\]",
        ),
        ({"dtype": "bfloat16"}, r"takes float16 \[8\], found bfloat16 \[8\]"),
        ({"nbytes": 12}, "norm.weight is not where it should be"),
        ({"byteOffset": -2}, "norm.weight is not where it should be"),
        ({"shape": [-2, -2]}, "norm.weight is not where it should be"),
        ({"byteOffset": 112}, "norm.weight is not where it should be"),
        ({"byteOffset": "0"}, "byteOffset: expected an integer, found '0'"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    index(tmp_path, change)
    with pytest.raises(InputError, match=message):
        check(tmp_path, PARAMETERS, {"vocab_size": 6})


def test_a_vocabulary_of_another_size_is_named(tmp_path: Path) -> None:
    index(tmp_path, {})
    with pytest.raises(
        InputError, match=r"embed.q_weight: .* \[7, 4\], found .* \[6, 4"
    ):
        check(tmp_path, PARAMETERS, {"vocab_size": 7})


def test_a_shortened_shard_is_named_with_both_sizes(tmp_path: Path) -> None:
    index(tmp_path, {})
    (tmp_path / "params_shard_0.bin").write_bytes(bytes(100))
    with pytest.raises(
        InputError, match=r"shard_0\.bin: expected 118 bytes, found 100"
    ):
        check(tmp_path, PARAMETERS, {"vocab_size": 6})


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index(tmp_path, {})
    (tmp_path / "params_shard_0.bin").unlink()
    with pytest.raises(
        InputError, match=r"params_shard_0\.bin: cannot be read: No such"
    ):
        check(tmp_path, PARAMETERS, {"vocab_size": 6})


@pytest.mark.parametrize("name", ["../shard.bin", "/shard.bin", "..", ""])
def test_a_shard_outside_of_the_model_is_refused(tmp_path: Path, name: str) -> None:
    index(tmp_path, {})
    file = tmp_path / "tensor-cache.json"
    value = json.loads(file.read_text())
    value["records"][0]["dataPath"] = name
    file.write_text(json.dumps(value))
    with pytest.raises(InputError, match="expected the name of a file in the same"):
        check(tmp_path, PARAMETERS, {"vocab_size": 6})


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tensor-cache\.json: cannot be read"):
        check(tmp_path, PARAMETERS, {"vocab_size": 6})


def test_many_problems_are_counted_instead_of_listed(tmp_path: Path) -> None:
    index(tmp_path, {})
    missing = [Parameter(f"layer.{n}", (1,), "float16") for n in range(20)]
    with pytest.raises(InputError, match="and 12 more problems") as caught:
        check(tmp_path, missing, {})
    assert len(caught.value.problems) == 9
