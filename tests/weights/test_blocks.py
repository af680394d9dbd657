"""Converting blocks by recipes: order of rows, and functions of values."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.quant.awq import GptqPacking
from mlcx.quant.block_scale import BlockScalePacking
from mlcx.quant.fp8 import ScaledFp8Packing
from mlcx.quant.packing import Given, Layer, Packing
from mlcx.quant.plain import Array, dtype_named
from mlcx.quant.scheme import SCHEMES, scheme
from mlcx.recipe import Recipe
from mlcx.weights.convert import convert
from mlcx.weights.mapping import Parameter

from .tiny_llama import Recorder, stored


def converted(
    folder: Path, recipe: Recipe, quantization: str, shape: tuple[int, ...], **tensors
) -> dict[str, bytes]:
    """Convert ``tensors`` to the one parameter ``p.weight`` of ``shape``."""
    save_file(tensors, folder / "model.safetensors")
    chosen = scheme(quantization)
    packing = chosen.packing(Layer("p", "linear", shape))
    wanted = [
        Parameter("p.weight", shape, chosen.model_dtype, packing),
    ]
    recipes = {"p.weight": recipe}
    convert(wanted, recipes, (), folder, folder / "out", Recorder())
    return stored(folder / "out")


@pytest.mark.parametrize("quantization", ["q0f16", "q4f16_1"])
def test_rows_are_regrouped_before_they_are_quantized(
    quantization: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    rows = rng.standard_normal((4 * 3 * 5, 40)).astype(np.float16)
    in_order = rows.reshape(4, 3, 5, 40).transpose(1, 0, 2, 3).reshape(-1, 40)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    recipe = Recipe(("x",), groups=4, parts=(1, 1, 1))
    found = converted(folders[0], recipe, quantization, rows.shape, x=rows)
    plain = Recipe(("x",))
    x = np.ascontiguousarray(in_order)
    assert found == converted(folders[1], plain, quantization, rows.shape, x=x)


@pytest.mark.parametrize("quantization", ["q0f16", "q4f16_1"])
@pytest.mark.parametrize("shape", [(40, 60), (40, 30000)], ids=["small", "blocks"])
def test_columns_become_rows_before_they_are_quantized(
    shape: tuple[int, int], quantization: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    columns = rng.standard_normal(shape).astype(np.float16)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    recipe = Recipe(("x",), transposed=True)
    found = converted(folders[0], recipe, quantization, shape[::-1], x=columns)
    rows = np.ascontiguousarray(columns.T)
    plain = Recipe(("x",))
    assert found == converted(folders[1], plain, quantization, shape[::-1], x=rows)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_function_of_values_is_rounded_once(
    dtype: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x = (0.01 * rng.standard_normal(77)).astype(kind)
    recipe = Recipe(("x",), value=lambda values: values + 1)
    found = converted(tmp_path, recipe, "q0f16", x.shape, x=x)["p.weight"]
    expected = (x.astype(np.float64) + 1).astype(np.float16)
    assert np.frombuffer(found, np.float16).tolist() == expected.tolist()


def test_a_recipe_may_keep_float32_as_it_is(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    x = rng.standard_normal(9).astype(np.float16)
    recipe = Recipe(("x",), value=lambda v: np.exp(v.astype(np.float32)), exact=True)
    found = converted(tmp_path, recipe, "q0f32", x.shape, x=x)["p.weight"]
    assert found == np.exp(x.astype(np.float32)).tobytes()


def test_layers_are_stacked_in_the_order_of_the_recipe(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    a, b = rng.standard_normal((2, 3, 8)).astype(np.float16)
    recipe = Recipe(("b", "a"))
    found = converted(tmp_path, recipe, "q0f16", (2, 3, 8), a=a, b=b)["p.weight"]
    assert found == np.stack([b, a]).tobytes()


def test_blocks_share_a_scale_that_all_of_them_decide(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    a, b = rng.standard_normal((2, 40, 30000)).astype(np.float16)
    b[-1, -1] = 9
    recipe, shape = Recipe(("a", "b")), (80, 30000)
    found = converted(tmp_path, recipe, "e4m3_e4m3_f16", shape, a=a, b=b)
    whole = ScaledFp8Packing().pack(np.concatenate([a, b]))
    assert found["p.q_weight"] == whole["q_weight"].tobytes()
    scale = whole["q_scale"].astype(ml_dtypes.bfloat16)
    assert found["p.q_scale"] == scale.tobytes()
    assert len(found["p.q_calibration_scale"]) == 2


SHAPE = (24, 11008)


def packings() -> dict[str, Packing]:
    """Return how each scheme packs a linear layer; blocks are those of a config."""
    packed = {"gptq": GptqPacking(), "blocks": BlockScalePacking(128, 128, True)}
    for name, each in SCHEMES.items():
        if not name.startswith("fp8"):
            packing = each.packing(Layer("x", "linear", SHAPE))
            packed |= {} if packing is None else {name: packing}
    return packed


PACKINGS = packings()


def tensors_of(packing: Packing, rng: np.random.Generator) -> dict[str, Array]:
    """Return what a checkpoint has of a weight of that shape."""
    if not isinstance(packing, Given):
        weight = rng.standard_normal(SHAPE)
        return {"x.weight": weight.astype(dtype_named(packing.model_dtype))}
    tensors = {}
    for part, (shape, dtype) in packing.parts("x.weight", SHAPE).items():
        numbers = rng.standard_normal(shape).astype(dtype_named(dtype))
        if dtype == "uint32":
            numbers = rng.integers(1 << 32, size=shape, dtype=np.uint32)
        if part == "x.qweight" and isinstance(packing, GptqPacking):
            numbers = numbers.reshape(-1, SHAPE[0])
        tensors[part] = numbers
    return tensors


@pytest.mark.parametrize("name", PACKINGS)
def test_blocks_of_few_rows_come_to_the_whole(
    name: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    packing = PACKINGS[name]
    save_file(tensors_of(packing, rng), tmp_path / "model.safetensors")
    wanted = [Parameter("x.weight", SHAPE, packing.model_dtype, packing)]
    found = []
    for elements in (1 << 40, SHAPE[1]):
        monkeypatch.setattr("mlcx.weights.blocks._ELEMENTS", elements)
        recorder, out = Recorder(), tmp_path / str(elements)
        convert(wanted, {}, (), tmp_path, out, recorder, exact_float32=True)
        found.append((stored(out), len(recorder.done)))
    (whole, once), (cut, often) = found
    assert cut == whole
    assert once < often
