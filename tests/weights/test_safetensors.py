"""Reading safetensors files, whole and damaged."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.errors import InputError
from mlcx.weights.reader import Reader
from mlcx.weights.safetensors import read_header
from mlcx.weights.tensor import Tensor

WEIGHT = {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}
OTHER = {"dtype": "F32", "shape": [2], "data_offsets": [12, 20]}


def write(path: Path, header: object, data: int) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(range(data)))
    return path


def test_tensors_come_in_the_order_of_their_data(tmp_path: Path) -> None:
    header = {"b": OTHER, "__metadata__": {"format": "pt"}, "a": WEIGHT}
    file = write(tmp_path / "x", header, 20)
    start = file.stat().st_size - 20
    assert read_header(file) == [
        Tensor("a", file, "F16", (2, 3), start),
        Tensor("b", file, "F32", (2,), start + 12),
    ]


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    save_file({"a": values, "b": values[:2].astype(np.float16)}, tmp_path / "x")
    (a, _) = read_header(tmp_path / "x")
    part = np.empty((2, 7), np.float32)
    with Reader([a]) as reader:
        reader.read(a, 14, part)
    np.testing.assert_array_equal(part, values[2:4])


BROKEN = {
    "no header": (b"", 0, "expected 2 bytes|damaged"),
    "not JSON": (b"{'a'}", 0, "header is damaged"),
    "not UTF-8": (b'{"\xff": 1}', 0, "header is damaged"),
    "nested beyond reason": (b"[" * 100000, 0, "header is damaged"),
    "a list": ([], 0, "no object"),
    "a name twice": (b'{"a": 1, "a": 2}', 0, "a name occurs twice"),
    "an entry of a wrong type": ({"a": 7}, 0, "tensor a is damaged"),
    "no offsets": ({"a": {"dtype": "F16", "shape": [1]}}, 2, "tensor a is damaged"),
    "negative": ({"a": {**WEIGHT, "shape": [-2, -3]}}, 12, "tensor a is damaged"),
    "a dtype of a wrong type": (
        {"a": {**WEIGHT, "dtype": ["F16"]}},
        12,
        "tensor a is damaged",
    ),
    "a strange dtype": (
        {"a": {**WEIGHT, "dtype": "F12"}},
        12,
        "expected one of the dtypes BF16, .*, found 'F12'",
    ),
    "a wrong size": ({"a": {**WEIGHT, "shape": [2, 4]}}, 12, "takes 16 bytes.* 12"),
    "an overlap": (
        {"a": WEIGHT, "b": {**OTHER, "data_offsets": [8, 16]}},
        16,
        "tensor b overlaps",
    ),
    "a gap": (
        {"a": WEIGHT, "b": {**OTHER, "data_offsets": [16, 24]}},
        24,
        "tensor b follows a gap",
    ),
    "cut short": ({"a": WEIGHT, "b": OTHER}, 19, "cut short: .*; download it again"),
    "too long": ({"a": WEIGHT, "b": OTHER}, 21, "too long: "),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, how: str) -> None:
    header, data, message = BROKEN[how]
    file = write(tmp_path / "broken.safetensors", header, data)
    with pytest.raises(InputError, match=message) as caught:
        read_header(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert said.endswith("; download it again") or how == "a strange dtype"


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, b"\x09" + b"\0" * 8])
def test_a_file_that_ends_within_its_header_is_refused(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match="cut short within its header"):
        read_header(tmp_path / "x")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; download it too"):
        read_header(tmp_path / "x")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Reader([Tensor("a", tmp_path / "x", "F16", (1,), 10)])


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "x", {"a": WEIGHT, "b": OTHER}, 20)
    tensor = read_header(file)[1]
    with Reader([tensor]) as reader:
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(InputError, match="ends within b: changed while being read"):
            reader.read(tensor, 0, np.empty(2, np.float32))
