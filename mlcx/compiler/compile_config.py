"""What compiling reads of a model, and nothing else: ``compile-config.json``.

Made from a Hugging Face config or an MLC chat config plus overrides. Two configs that
compile to the same library come out equal here, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlcx.architectures import architecture, overriding
from mlcx.architectures.config import USUAL_BATCH
from mlcx.architectures.overriding import OVERRIDES
from mlcx.artifact import (
    CHAT_CONFIG,
    COMPILE_CONFIG,
    MODEL_CONFIG,
    QUANTIZATION_RECIPE,
    active_ids,
    read_json,
    write_json,
)
from mlcx.errors import InputError, UsageError
from mlcx.quant.mixed import MixedScheme, mixed
from mlcx.quant.packing import Scheme
from mlcx.quant.scheme import scheme

__all__ = ["CompileConfig", "find", "is_checkpoint", "parse_overrides"]

_KIND = "mlcx-compile-config"


_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
"""How a command line may say so, in any case."""


@dataclass(frozen=True)
class CompileConfig:
    """A model to compile: its architecture, scheme and normalized fields."""

    model_type: str
    quantization: str
    """Name of the scheme; of a mixed one, what its content makes of it."""
    model_config: Mapping[str, Any]
    active_vocab_size: int | None
    """Ids from here on never come out of the softmax; None: all may."""
    quantization_recipe: Mapping[str, Any] | None = None
    """What declares the scheme where it is mixed."""

    @property
    def scheme(self) -> Scheme:
        """How weights are stored."""
        return _scheme(self.quantization, self.quantization_recipe)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        quantization: Scheme | str | None = None,
        model_type: str | None = None,
        overrides: Mapping[str, object] = MappingProxyType({}),
        tokens: int | None = None,
    ) -> CompileConfig:
        """Read a config file of any of the three kinds and normalize it.

        A checkpoint's comes out as the chat config would that is made of it.

        Args:
            path: The file.
            quantization: A scheme or its name; None: what the file says.
            model_type: The architecture; None: what the file says.
            overrides: Fields to replace.
            tokens: How many a checkpoint's tokenizer has; None: nobody knows.

        Raises:
            InputError: The file or one of its fields is not what it must be.
            UsageError: No quantization is known, a pattern of a mixed one matches no
                layer, or an override does not apply.
        """
        data = read_json(path)
        chosen = _chosen(path, data, quantization)
        kind = model_type or data.get("model_type")
        if not isinstance(kind, str):
            raise InputError.in_file(path, "expected a 'model_type', found none")
        checkpoint = is_checkpoint(data)
        usual = {"max_batch_size": USUAL_BATCH} if checkpoint else {}
        given = usual | overriding.flatten(data)
        config = _overridden(path, kind, given, overriding.given(kind, overrides))
        recipe = None
        if isinstance(chosen, MixedScheme):
            from mlcx.quant import apply  # noqa: PLC0415 (loads TVM)

            apply.layers(architecture(kind), config, chosen)
            # Two names for one content are one library.
            chosen, recipe = chosen.nameless(), chosen.content()
        fields = config.to_dict()
        vocab = fields["vocab_size"]
        if checkpoint:
            active = vocab if tokens is None else min(tokens, vocab)
        else:
            active = _active(path, data, vocab)
        return cls(kind, chosen.name, fields, active, recipe)

    def save(self, path: Path) -> None:
        """Write this to ``path``, atomically."""
        write_json(path, {"kind": _KIND, **asdict(self)})


def find(model: Path) -> Path:
    """Return the config file that ``model`` means: a file itself, or one inside.

    Raises:
        InputError: There is none.
    """
    if model.is_file():
        return model
    for name in (COMPILE_CONFIG, CHAT_CONFIG, MODEL_CONFIG):
        if (model / name).is_file():
            return model / name
    message = f"expected a model: a folder with {CHAT_CONFIG} or {MODEL_CONFIG}"
    raise InputError.in_file(model, message)


def parse_overrides(text: str) -> dict[str, int | bool]:
    """Read ``key=value;key=value``.

    Raises:
        UsageError: An entry has no value, or is not of an override's name or type.
    """
    parts = [part.strip() for part in text.split(";")]
    return dict(_parse_override(part) for part in parts if part)


def _parse_override(part: str) -> tuple[str, int | bool]:
    key, equals, value = (each.strip() for each in part.partition("="))
    if not equals or key not in OVERRIDES:
        known = ", ".join(OVERRIDES)
        raise UsageError(f"override {part!r}: expected KEY=VALUE, KEY one of {known}")
    if OVERRIDES[key] is bool:
        if value.lower() not in _TRUE | _FALSE:
            message = f"override {key!r}: expected true or false, found {value!r}"
            raise UsageError(message)
        return key, value.lower() in _TRUE
    try:
        return key, int(value)
    except ValueError as error:
        message = f"override {key!r}: expected a whole number, found {value!r}"
        raise UsageError(message) from error


def _chosen(path: Path, data: Mapping[str, Any], given: Scheme | str | None) -> Scheme:
    """Return the scheme that is ``given``, else the one that ``data`` names."""
    if isinstance(given, str):
        return scheme(given)
    if given is not None:
        return given
    if not isinstance(data.get("quantization"), str):
        raise UsageError(f"{path} names no quantization: give --quantization")
    return _scheme(data["quantization"], data.get(QUANTIZATION_RECIPE))


def _scheme(name: str, recipe: Mapping[str, Any] | None) -> Scheme:
    return scheme(name) if recipe is None else mixed(name, recipe)


def _overridden(
    path: Path, kind: str, fields: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Any:
    """Return the config of ``fields``, from the file ``path``, with ``overrides``.

    Raises:
        InputError: A field is not what it must be.
        UsageError: An override does not apply.
    """
    try:
        config = architecture(kind).Config.from_hf({**fields, **overrides})
    except InputError as error:
        raise InputError([_at(path, each) for each in error.problems]) from error
    for key, why in overriding.without_effect(kind, config.to_dict(), overrides):
        raise UsageError(f"override {key!r}: {why}")
    return config


def is_checkpoint(config: Mapping[str, Any]) -> bool:
    """Say whether ``config`` is a checkpoint's own, not one that was made of it."""
    return "model_config" not in config


def _active(path: Path, data: Mapping[str, Any], vocab_size: int) -> int | None:
    """Return how many tokens may come out; None: all."""
    found = data.get("active_vocab_size")
    if found is not None and type(found) is not int:
        message = f"'active_vocab_size': expected a whole number, found {found!r}"
        raise InputError.in_file(path, message)
    return active_ids(found or 0, vocab_size)


def _at(path: Path, problem: Any) -> Any:
    return type(problem)(str(path), 0, 0, problem.message)
