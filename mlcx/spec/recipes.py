"""Quantizations that a spec declares itself: recipes of mixed schemes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mlcx.architectures.layer_names import idle
from mlcx.architectures.quantizations import refusal
from mlcx.architectures.quantized import KEY, unsuited
from mlcx.errors import Problem
from mlcx.spec.folder import ModelFolder
from mlcx.spec.model_config import architecture_of, layers_of
from mlcx.spec.rules import Checked, of_name
from mlcx.spec.schema import schemes
from mlcx.spec.source import Steps, quote
from mlcx.spec.violations import did_you_mean

__all__ = ["model_dtype", "of_fit", "of_quantization", "of_weights", "recipe_problems"]

_RECIPES = "quantization_recipes"
_DTYPE = re.compile("bf16|f16|f32")


def model_dtype(scheme: str) -> str:
    """Return what the name of ``scheme`` says of its model dtype: bf16, f16 or f32."""
    found = _DTYPE.search(scheme)
    assert found, f"{scheme} names no model dtype"
    return found.group()


def recipe_problems(checked: Checked) -> Iterator[Problem]:
    """Yield what is wrong with the recipes of a spec, beyond what its schema says."""
    taken = {name.lower(): "a scheme" for name in schemes()}
    for name, recipe in _recipes(checked).items():
        at = (_RECIPES, name)
        yield from of_name(checked, at, name)
        # Names that differ in case alone are one file on macOS and Windows.
        if name.lower() in taken:
            owner = taken[name.lower()]
            message = f"{quote(name)} is the name of {owner}: choose another"
            yield checked.source.problem(at, message, at_key=True)
        taken.setdefault(name.lower(), "another recipe")
        if checked.sound(at):
            yield from _dtypes(checked, at, recipe)


def of_quantization(checked: Checked, steps: Steps, name: str) -> Iterator[Problem]:
    """Refuse a quantization that is neither a scheme nor a recipe of the spec."""
    known = [*schemes(), *_recipes(checked)]
    if name in known:
        return
    listed = ", ".join(map(quote, known))
    found = f"found {quote(name)}{did_you_mean(name, known)}"
    where = "" if isinstance(steps[-1], str) else f"[{steps[-1]}]"
    key = steps[-1] if isinstance(steps[-1], str) else steps[-2]
    message = f"{key}{where}: expected one of {listed}, {found}"
    yield checked.source.problem(steps, message)


def of_fit(
    checked: Checked, steps: Steps, name: str, model: ModelFolder
) -> Iterator[Problem]:
    """Refuse a quantization that layers of ``model`` cannot have, or that names none.

    Patterns that match a tied head alone are left to the model's steps.
    """
    module, recipe = architecture_of(model.config), _recipes(checked).get(name)
    if recipe is None:
        if name in schemes() and (why := refusal(module, [name], schemes())):
            yield checked.source.problem(steps, why)
        return
    at = (_RECIPES, name)
    if not checked.sound(at):
        return
    parts = [recipe["base"], *recipe["layers"].values()]
    if why := refusal(module, parts, schemes()):
        yield checked.source.problem(at, why, at_key=True)
    for pattern, near in idle(recipe["layers"], layers_of(model.config)):
        message = f"{pattern} matches no layer of {model.place}; near are {near}"
        yield checked.source.problem((*at, "layers", pattern), message, at_key=True)


def of_weights(
    checked: Checked, steps: Steps, name: str, model: ModelFolder
) -> Iterator[Problem]:
    """Refuse a quantization that the weights of the checkpoint cannot be had in."""
    known = name in {*schemes(), *_recipes(checked)}
    if known and (why := unsuited(name, model.config.get(KEY))):
        yield checked.source.problem(steps, why)


def _recipes(checked: Checked) -> dict[str, Any]:
    found = checked.source.value.get(_RECIPES)
    return found if isinstance(found, dict) else {}


def _dtypes(
    checked: Checked, steps: Steps, recipe: dict[str, Any]
) -> Iterator[Problem]:
    """Refuse parts whose model dtype is not that of the base."""
    wanted = model_dtype(recipe["base"])
    for pattern, part in recipe["layers"].items():
        found = model_dtype(part)
        if found != wanted:
            message = (
                f"{pattern}: expected a scheme with the model dtype of "
                f"{recipe['base']}, {wanted}; {part} has {found}"
            )
            yield checked.source.problem((*steps, "layers", pattern), message)
