"""Reading PyTorch's own files, and refusing to without PyTorch."""

import builtins
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.weights.checkpoint import read_checkpoint

from .tiny_llama import run, save, stored, tensors


class Hostile:
    """Leaves a file when it is unpickled by the ordinary way."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (builtins.open, (str(self._mark), "w"))


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", minversion="2.6")


def checkpoint(torch: Any, folder: Path, content: object, name: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(content, folder / (name or "pytorch_model.bin"))
    return folder


def as_torch(torch: Any, content: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors of ``content``, which are float16, as PyTorch's."""
    return {name: torch.from_numpy(value) for name, value in content.items()}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_result_is_that_of_the_same_tensors_in_safetensors(
    torch: Any, tmp_path: Path, dtype: str
) -> None:
    from safetensors.torch import save_file

    content = as_torch(torch, tensors())
    content = {name: each.to(getattr(torch, dtype)) for name, each in content.items()}
    run(checkpoint(torch, tmp_path / "a", content), tmp_path / "out_a")
    (tmp_path / "b").mkdir()
    save_file(content, tmp_path / "b" / "model.safetensors")
    run(tmp_path / "b", tmp_path / "out_b")
    assert stored(tmp_path / "out_a") == stored(tmp_path / "out_b")


def test_several_files_with_an_index_are_one_checkpoint(
    torch: Any, tmp_path: Path
) -> None:
    content = as_torch(torch, tensors())
    names = sorted(content)
    weight_map = {}
    for number in range(3):
        file = f"pytorch_model-{number + 1:05d}-of-00003.bin"
        own = {name: content[name] for name in names[number::3]}
        checkpoint(torch, tmp_path / "a", own, file)
        weight_map |= dict.fromkeys(own, file)
    index = tmp_path / "a" / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    run(tmp_path / "a", tmp_path / "out_a")
    run(save(tmp_path / "b", tensors()), tmp_path / "out_b")
    assert stored(tmp_path / "out_a") == stored(tmp_path / "out_b")


def test_tensors_may_be_views_of_others(torch: Any, tmp_path: Path) -> None:
    content = as_torch(torch, tensors())
    name = "model.layers.0.self_attn.o_proj.weight"
    content[name] = content[name].T.contiguous().T
    content["model.embed_tokens.weight"] = content["lm_head.weight"]
    run(checkpoint(torch, tmp_path / "a", content), tmp_path / "out", "q0f16")
    found = stored(tmp_path / "out")
    assert found[name] == tensors()[name].tobytes()
    assert found["model.embed_tokens.weight"] == found["lm_head.weight"]


def test_a_weight_that_is_not_finite_is_refused_by_name(
    torch: Any, tmp_path: Path
) -> None:
    content = as_torch(torch, tensors())
    content["model.norm.weight"][3] = np.nan
    source = checkpoint(torch, tmp_path / "a", content)
    with pytest.raises(InputError, match=r"tensor model\.norm\.weight holds NaN"):
        run(source, tmp_path / "out")


def test_a_file_that_would_run_code_is_refused_and_does_not(
    torch: Any, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    source = checkpoint(torch, tmp_path / "a", {"a": Hostile(mark)})
    with pytest.raises(InputError, match="not a file of tensors alone"):
        read_checkpoint(source)
    assert not mark.exists()


@pytest.mark.parametrize("content", [{"a": 1}, [1], {"model": {"a": None}}, {1: 2}])
def test_what_is_not_tensors_by_name_is_refused(
    torch: Any, tmp_path: Path, content: object
) -> None:
    with pytest.raises(InputError, match="expected tensors by name, found"):
        read_checkpoint(checkpoint(torch, tmp_path / "a", content))


@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_truncated_file_is_refused(torch: Any, tmp_path: Path, size: int) -> None:
    source = checkpoint(torch, tmp_path / "a", as_torch(torch, tensors()))
    file = source / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(InputError, match=r"pytorch_model\.bin: not a file of tensors"):
        read_checkpoint(source)


def test_a_file_of_the_oldest_kind_cannot_be_mapped_and_is_refused(
    torch: Any, tmp_path: Path
) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(2)}, file, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="not a file of tensors alone that PyTorch"):
        read_checkpoint(tmp_path)


def test_an_unknown_dtype_is_named(torch: Any, tmp_path: Path) -> None:
    content = {"a": torch.ones(2, dtype=torch.complex64)}
    with pytest.raises(InputError, match="tensor a has the unknown dtype 'complex64'"):
        read_checkpoint(checkpoint(torch, tmp_path / "a", content))


def test_without_pytorch_the_extra_is_named_and_nothing_is_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    mark = tmp_path / "mark"
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(pickle.dumps({"a": Hostile(mark)}))
    with pytest.raises(InputError, match=r"pip install 'mlcx\[torch\]'") as caught:
        read_checkpoint(tmp_path)
    assert str(caught.value).startswith(f"{file}: ")
    assert not mark.exists()


def test_a_pytorch_that_can_be_made_to_run_code_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.5.1+cu1"))
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=r"PyTorch 2\.5\.1\+cu1 can be made to run"):
        read_checkpoint(tmp_path)
