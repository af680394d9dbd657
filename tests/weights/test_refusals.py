"""What is wrong with a checkpoint is one message, status 2, and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import one_layer
import pytest
from one_layer import CONFIG, LAYER, SHAPES
from safetensors.numpy import load_file, save_file

from mlcx.__main__ import main

UP = f"{LAYER}mlp.up_proj.weight"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return one_layer.write(tmp_path / "model")


Change = Callable[[Path], object]


def header(change: Callable[[str], str]) -> Change:
    """Change the text of the safetensors header."""

    def apply(model: Path) -> None:
        file = model / "model.safetensors"
        data = file.read_bytes()
        length = int.from_bytes(data[:8], "little")
        text = change(data[8 : 8 + length].decode()).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])

    return apply


def content(change: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of the safetensors file."""

    def apply(model: Path) -> None:
        file = model / "model.safetensors"
        file.write_bytes(change(file.read_bytes()))

    return apply


def tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Change:
    """Change the tensors of the checkpoint."""

    def apply(model: Path) -> None:
        file = model / "model.safetensors"
        found = load_file(file)
        change(found)
        save_file(found, file)

    return apply


def config(**fields: object) -> Change:
    """Change fields of the config."""
    return lambda model: (model / "config.json").write_text(json.dumps(CONFIG | fields))


def index(file: str) -> Change:
    """Add an index that says that all tensors are in ``file``."""
    text = json.dumps({"weight_map": dict.fromkeys(SHAPES, file)})
    return lambda model: (model / "model.safetensors.index.json").write_text(text)


def put(name: str, value: float) -> Change:
    def change(found: dict[str, np.ndarray]) -> None:
        found[name].reshape(-1)[5] = value

    return tensors(change)


def entry(name: str, **fields: object) -> Change:
    """Change the header's entry of a tensor."""

    def change(text: str) -> str:
        entries = json.loads(text)
        entries[name] |= fields
        return json.dumps(entries)

    return header(change)


def rename(name: str, other: str) -> Change:
    return header(lambda text: text.replace(f'"{name}"', f'"{other}"'))


REFUSED: dict[str, tuple[Change, str]] = {
    "no JSON": (header(lambda text: text[:-9]), "its header is damaged"),
    "a huge header": (
        content(lambda data: b"\xff" * 7 + b"\x7f" + data[8:]),
        "cut short within its header",
    ),
    "an overlap": (
        entry("model.norm.weight", data_offsets=[0, 128]),
        "overlaps another's: the header is damaged",
    ),
    "beyond the end": (
        entry("model.norm.weight", data_offsets=[1 << 40, (1 << 40) + 128]),
        "follows a gap: the header is damaged",
    ),
    "a name twice": (
        rename("model.norm.weight", f"{LAYER}input_layernorm.weight"),
        "a name occurs twice",
    ),
    "a negative size": (
        entry("model.norm.weight", shape=[-64]),
        "entry of tensor model.norm.weight is damaged",
    ),
    "a truncated file": (content(lambda data: data[:-1]), "is cut short: expected"),
    "an empty file": (content(lambda data: b""), "cut short within its header"),
    "NaN": (put("model.norm.weight", np.nan), "model.norm.weight holds NaN or inf"),
    "infinity": (put(UP, -np.inf), f"tensor {UP} holds NaN or infinity"),
    "integers": (
        tensors(lambda found: found.update({UP: np.ones((96, 64), np.int64)})),
        f"tensor {UP}: expected one of the dtypes F16, BF16, F32, found I64",
    ),
    "an index of no file": (index("x.safetensors"), "x.safetensors: cannot be read"),
    "an index that leads away": (index("../x"), "expected a file's name for"),
    "a negative config": (config(intermediate_size=-96), "'intermediate_size'"),
    "a config of nothing": (config(hidden_size=0), "'hidden_size'"),
    "a huge config": (config(vocab_size=(1 << 31) - 1), "expected [2147483647, 64]"),
    "a config beyond numbers": (config(vocab_size=1 << 80), "'vocab_size'"),
    "a huge number of layers": (config(num_hidden_layers=1 << 40), "'num_hidden_lay"),
}


def convert(model: Path) -> int:
    """Convert the model by the command; return its status."""
    output = str(model.parent / "out")
    command = ["convert_weight", str(model), "--quantization", "q4f16_1", "-o", output]
    return main(command)


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_one_message_and_nothing_is_written(
    model: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = REFUSED[what]
    change(model)
    assert convert(model) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith(str(model))
    assert err.count("\n") == 1
    assert not (model.parent / "out").exists()


def test_all_tensors_that_do_not_fit_are_named_at_once(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(found: dict[str, np.ndarray]) -> None:
        del found["model.norm.weight"]
        found[UP] = np.ones((64, 96), np.float16)
        found[f"{LAYER}self_attn.o_proj.weight"] = np.ones((64, 64), np.int32)
        found["extra.weight"] = np.ones(1, np.float16)

    tensors(change)(model)
    assert convert(model) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(str(model / "model.safetensors")) for line in lines)
    wanted = "lacks tensor model.norm.weight", f"{UP} [64, 96]", "found I32", "use for"
    for named in wanted:
        assert sum(named in line for line in lines) == 1
    assert not (model.parent / "out").exists()
