"""Recipes of mixed quantizations in specs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.quant.scheme import SCHEMES
from mlcx.spec import check, load
from mlcx.spec.recipes import model_dtype
from mlcx.spec.schema import schemes
from mlcx.spec.types import QuantizationRecipe

RECIPE = {
    "base": "q4f16_1",
    "layers": {"*.down_proj": "q0f16", "layers.0.*": "q8f16_1"},
}
MEANT = QuantizationRecipe(
    "q4f16_1", (("*.down_proj", "q0f16"), ("layers.0.*", "q8f16_1"))
)
NAMES = ", ".join(f'"{name}"' for name in schemes())
AT = "/quantization_recipes/m"

Spec = Callable[..., dict[str, Any]]


def test_the_name_of_a_scheme_says_its_model_dtype() -> None:
    short = {"float16": "f16", "bfloat16": "bf16", "float32": "f32"}
    for name, scheme in SCHEMES.items():
        assert model_dtype(name) == short[scheme.model_dtype]


def test_an_entry_may_name_a_recipe(
    write: Callable[..., str], package: Spec, entry: Spec
) -> None:
    spec = package(entry(quantization="m"), quantization_recipes={"m": RECIPE})
    plan = load(write(spec))
    (weights,), (library,) = plan.weights, plan.libraries
    assert (weights.quantization, weights.recipe) == ("m", MEANT)
    assert (library.quantization, library.recipe) == ("m", MEANT)


def test_a_recipe_names_the_libraries_of_a_delivery(
    write: Callable[..., str], delivery: Spec
) -> None:
    spec = delivery(quantization_recipes={"m": RECIPE})
    spec["tasks"][0]["quantization"] = ["m"]
    plain, library = load(write(spec)).libraries
    assert (plain.recipe, library.recipe) == (None, MEANT)
    assert library.library == "libs/a/a-m-cpu.so"


def test_the_recipe_of_a_model_directory_is_its_own(
    write: Callable[..., str], package: Spec, entry: Spec, here: Path
) -> None:
    config = here / "mlc" / "mlc-chat-config.json"
    content = json.loads(config.read_text()) | {"quantization": "its-own"}
    config.write_text(json.dumps(content))
    own = entry(model="mlc", conv_template=..., quantization="its-own")
    (library,) = load(write(package(own))).libraries
    assert (library.quantization, library.recipe) == (None, None)


WRONG = {"base": "q4f16_1", "layers": {"lm_head": "q0f16", "*.dwn_proj": "q0f16"}}


def test_a_pattern_that_matches_no_layer_of_a_model_is_said_once_for_each(
    write: Callable[..., str], package: Spec, delivery: Spec, entry: Spec, here: Path
) -> None:
    shutil.copytree(here / "checkpoint", here / "phi")
    config = json.loads((here / "phi" / "config.json").read_text())
    config |= {"model_type": "phi", "layer_norm_eps": 1e-5}
    (here / "phi" / "config.json").write_text(json.dumps(config))
    models = {"a": "checkpoint", "b": "checkpoint", "c": "phi"}
    entries = [
        entry(model=model, model_id=name, quantization="m")
        for name, model in models.items()
    ]
    recipes = {"m": WRONG, "unused": {**WRONG, "layers": {"x": "q0f16"}}}
    spec = package(*entries, quantization_recipes=recipes)
    expected = [
        f"*.dwn_proj matches no layer of {here}/checkpoint; near are 'down_proj', "
        "'o_proj', 'qkv_proj'",
        f"*.dwn_proj matches no layer of {here}/phi; near are 'out_proj'",
        f"lm_head matches no layer of {here}/phi; near are 'lm_head.linear'",
    ]
    found = check([write(spec)])
    assert sorted(problem.message for problem in found) == expected
    assert {problem.pointer.rpartition("/")[0] for problem in found} == {f"{AT}/layers"}
    released = delivery(quantization_recipes=recipes, default_quantization=["m"])
    (problem,) = check([write(released)])
    assert problem.message == expected[0]


BLOCKS = "fp8_e4m3fn_bf16_block_scale"


def test_a_quantization_that_is_not_for_an_architecture_is_refused_where_it_stands(
    write: Callable[..., str], package: Spec, delivery: Spec, entry: Spec
) -> None:
    recipes = {"m": {"base": "q4bf16_1", "layers": {"lm_head": BLOCKS}}}
    spec = package(entry(quantization=BLOCKS), quantization_recipes=recipes)
    (problem,) = check([write(spec)])
    why = f"llama cannot be quantized as {BLOCKS}: choose one of q0f16, "
    assert problem.message.startswith(why)
    assert BLOCKS not in problem.message.removeprefix(why)
    assert problem.pointer == "/model_list/0/quantization"
    names = [BLOCKS, "q4f16_ft", "m"]
    spec = delivery(quantization_recipes=recipes, default_quantization=names)
    found = check([write(spec)])
    assert [each.message.startswith(why) for each in found] == [True, True]
    assert [each.pointer for each in found] == ["/default_quantization/0", AT]


AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
AWQ |= {"zero_point": True, "version": "gemm"}


@pytest.mark.parametrize(
    ("quantized", "scheme", "why"),
    [
        (AWQ, "q4f16_1", "these weights are quantized already, by 'awq'; give the "),
        (AWQ | {"bits": 8}, "q4f16_autoawq", "q4f16_autoawq cannot store what awq "),
        (None, "q4f16_autoawq", "q4f16_autoawq takes the weights of a quantized "),
        (AWQ, "q4f16_autoawq", ""),
    ],
)
def test_a_checkpoint_that_is_quantized_is_known_by_its_config(
    write: Callable[..., str],
    package: Spec,
    delivery: Spec,
    entry: Spec,
    here: Path,
    quantized: dict[str, Any] | None,
    scheme: str,
    why: str,
) -> None:
    config = here / "checkpoint" / "config.json"
    content = json.loads(config.read_text()) | {"quantization_config": quantized}
    config.write_text(json.dumps(content))
    found = check([write(package(entry(quantization=scheme)))])
    assert [each.pointer for each in found] == ["/model_list/0/quantization"] * bool(
        why
    )
    assert all(each.message.startswith(why) for each in found)
    # A library alone needs no weights; what verifies it does.
    spec = delivery(default_quantization=[scheme])
    assert check([write(spec)]) == []
    found = check([write(spec | {"default_verify": {"max_kl": 1}})])
    at = "/default_verify" if quantized else "/default_quantization/0"
    assert [each.pointer for each in found] == [at]
    assert found[0].message.startswith("verify: the weights of " if quantized else why)


def changed(**changes: Any) -> dict[str, Any]:
    return {"m": {**RECIPE, **changes}}


@pytest.mark.parametrize(
    ("recipes", "pointer", "message"),
    [
        (
            changed(base="q4f16-1"),
            f"{AT}/base",
            f'base: expected one of {NAMES}, found "q4f16-1": did you mean "q4f16_1"?',
        ),
        (
            changed(layers={"*.down_proj": "q8f16"}),
            f"{AT}/layers/*.down_proj",
            f'*.down_proj: expected one of {NAMES}, found "q8f16": did you mean '
            '"q8f16_1"?',
        ),
        (
            changed(layers={"a/[b": "q0f16"}),
            f"{AT}/layers/a~1[b",
            "expected a pattern of layers' names: letters, digits, '_', '-', '.', '*', "
            "'?' and sets such as [0-3], found \"a/[b\"",
        ),
        (
            changed(layers={}),
            f"{AT}/layers",
            "layers: expected an object that is not empty, found an empty object",
        ),
        (
            changed(layers={"lm_head": "q0bf16"}),
            f"{AT}/layers/lm_head",
            "lm_head: expected a scheme with the model dtype of q4f16_1, f16; q0bf16 "
            "has bf16",
        ),
        (
            {"m": RECIPE, "M": RECIPE},
            "/quantization_recipes/M",
            '"M" is the name of another recipe: choose another',
        ),
        (
            {"m": RECIPE, "Q4F16_1": RECIPE},
            "/quantization_recipes/Q4F16_1",
            '"Q4F16_1" is the name of a scheme: choose another',
        ),
        (
            {"m": RECIPE, "a/b": RECIPE},
            "/quantization_recipes/a~1b",
            "expected the name of a recipe: letters, digits, '_' and '-', not starting "
            "with '-', found \"a/b\"",
        ),
        (
            {"m": RECIPE, "nul": RECIPE},
            "/quantization_recipes/nul",
            '"nul" is no file name on Windows: choose another',
        ),
        (
            {"m": {"base": "q4f16_1"}},
            AT,
            'quantization recipe: "layers" is missing: add it',
        ),
    ],
)
def test_a_wrong_recipe_is_explained_where_it_stands(
    write: Callable[..., str],
    package: Spec,
    entry: Spec,
    recipes: dict[str, Any],
    pointer: str,
    message: str,
) -> None:
    file = write(package(entry(quantization="m"), quantization_recipes=recipes))
    (problem,) = check([file])
    assert (problem.pointer, problem.message) == (pointer, message)
    text = Path(file).read_text().splitlines()[problem.line - 1]
    named = pointer.rpartition("/")[2].replace("~1", "/")
    assert named in text[: problem.column + len(named) + 1]


def test_the_name_of_no_recipe_is_refused_with_all_there_are(
    write: Callable[..., str], delivery: Spec
) -> None:
    spec = delivery(
        quantization_recipes={"mine": RECIPE}, default_quantization=["q0f16", "mne"]
    )
    (problem,) = check([write(spec)])
    assert problem.pointer == "/default_quantization/1"
    assert problem.message == (
        f'default_quantization[1]: expected one of {NAMES}, "mine", found "mne": did '
        'you mean "mine"?'
    )
