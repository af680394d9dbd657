"""Mixed schemes: one scheme for a model, and others for some of its layers.

A *recipe* declares one, as data: ``{"base": SCHEME, "layers": {PATTERN: SCHEME, …}}``.
A pattern is a glob on the names of layers, which are MLC's: fused projections are one
layer. Of the patterns that match a layer the last one counts. What its scheme makes of
the layer counts then: a scheme that leaves output heads as they are does so here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlcx.architectures.layer_names import idle, matches
from mlcx.errors import UsageError
from mlcx.quant.given import takes_quantized
from mlcx.quant.packing import Layer, Packing, Scheme
from mlcx.quant.scheme import SCHEMES, scheme

__all__ = ["MixedScheme", "mixed"]

_KEYS = {"base", "layers"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_PATTERN = re.compile(r"([A-Za-z0-9_.*?-]|\[!?[A-Za-z0-9_-]+\])+")


@dataclass(frozen=True)
class MixedScheme:
    """A scheme for a model, and others for the layers that patterns name."""

    name: str
    base: Scheme
    layers: tuple[tuple[str, Scheme], ...]
    """Patterns and their schemes; of those that match a layer the last counts."""

    @property
    def model_dtype(self) -> str:
        """Of activations and of what is not quantized; all parts have the same."""
        return self.base.model_dtype

    def packing(self, layer: Layer) -> Packing | None:
        """Return how the weight of ``layer`` is stored; None: as it is."""
        name = layer.name
        found = (part for each, part in reversed(self.layers) if matches(each, name))
        return next(found, self.base).packing(layer)

    def content(self) -> dict[str, object]:
        """Return the recipe that declares this, ready for JSON."""
        layers = {pattern: part.name for pattern, part in self.layers}
        return {"base": self.base.name, "layers": layers}

    def nameless(self) -> MixedScheme:
        """Return this under a name that its content alone decides."""
        digest = hashlib.sha256(json.dumps(self.content()).encode()).hexdigest()
        return replace(self, name=f"{self.base.name}-mixed-{digest[:8]}")

    def check(self, layers: Sequence[Layer]) -> None:
        """Make sure that every pattern matches one of a model's ``layers``.

        Raises:
            UsageError: Some do not; says which, and what is near.
        """
        names = [layer.name for layer in layers]
        problems = [
            f"{pattern!r} matches no layer of this model; near are {near}"
            for pattern, near in idle(dict(self.layers), names)
        ]
        if problems:
            message = "; ".join(problems)
            raise UsageError(f"quantization recipe {self.name!r}: {message}")


def mixed(name: str, recipe: Mapping[str, object]) -> MixedScheme:
    """Return the scheme called ``name`` that ``recipe`` declares.

    Raises:
        UsageError: The name or the recipe is not what it must be; says all of it.
    """
    problems = [*_of_name(name), *_of_keys(recipe)]
    base, layers = recipe.get("base"), recipe.get("layers")
    if not problems and isinstance(layers, dict):
        problems = list(_of_parts(base, layers))
    if problems or not isinstance(layers, dict):
        raise UsageError(f"quantization recipe {name!r}: {'; '.join(problems)}")
    rows = tuple((pattern, scheme(part)) for pattern, part in layers.items())
    return MixedScheme(name, scheme(str(base)), rows)


def _of_name(name: str) -> Iterator[str]:
    if name.lower() in map(str.lower, SCHEMES):
        yield "its name is that of a scheme: choose another"
    elif not _NAME.fullmatch(name):
        yield (
            "expected a name of letters, digits, '_' and '-', 64 at most, not "
            "starting with '-': it becomes part of the names of files"
        )


def _of_keys(recipe: Mapping[str, object]) -> Iterator[str]:
    if set(recipe) != _KEYS:
        found = ", ".join(recipe) or "none"
        yield f"expected the keys base and layers, found {found}"
    elif not isinstance(recipe["layers"], dict) or not recipe["layers"]:
        found = "none" if recipe["layers"] == {} else repr(recipe["layers"])
        yield f"expected layers to be patterns and their schemes, found {found}"


def _of_parts(base: object, layers: Mapping[str, object]) -> Iterator[str]:
    named = (base, *layers.values())
    unknown = [each for each in named if str(each) not in SCHEMES]
    for each in dict.fromkeys(map(str, unknown)):
        yield str(UsageError.unknown("scheme", each, SCHEMES))
    if not unknown and takes_quantized(SCHEMES[str(base)]):
        yield f"{base} is for checkpoints that are quantized already"
    for pattern, part in layers.items():
        if not _PATTERN.fullmatch(pattern):
            yield f"{pattern!r} is no pattern of layers' names, such as '*.down_proj'"
        elif not unknown and takes_quantized(SCHEMES[str(part)]):
            yield f"{pattern!r}: {part} is for checkpoints that are quantized already"
        elif not unknown and _dtype(part) != _dtype(base):
            yield (
                f"{pattern!r}: expected a scheme with the model dtype of {base}, "
                f"{_dtype(base)}; {part} has {_dtype(part)}"
            )


def _dtype(name: object) -> str:
    return SCHEMES[str(name)].model_dtype
