"""Reading a checkpoint's config: typed fields, every violation reported at once.

An architecture's config is a dataclass, which is also the list of what is read. What a
default is, each architecture says; this module only knows the keys that all of them
share and their older and newer spellings.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from typing import Any, TypeGuard, TypeVar, get_type_hints

from mlcx.architectures import largest
from mlcx.errors import InputError, Problem

__all__ = [
    "ACTIVATIONS",
    "OPEN",
    "USUAL_BATCH",
    "Fields",
    "ModelConfig",
    "is_positive",
]

ACTIVATIONS = (
    "gelu",
    "gelu_fast",
    "gelu_new",
    "gelu_pytorch_tanh",
    "relu",
    "silu",
    "swish",
)
"""Those that networks of any activation have, by Hugging Face's names."""

OPEN = -1
"""How MLC's configs say that something has no limit, or is not there."""

USUAL_BATCH = 128
"""Sequences at a time that nobody asked for: as many as MLC's ``gen_config`` writes."""

_ALONE = {"tensor_parallel_shards", "pipeline_parallel_stages", "max_batch_size"}
"""Fields of MLC's own, which checkpoints leave out; each is 1 then."""


@dataclass(frozen=True)
class ModelConfig:
    """What a model is built from; subclasses add fields, in MLC's names and order."""

    def to_dict(self) -> dict[str, Any]:
        """Return the ``model_config`` object of mlc-chat-config.json."""
        return asdict(self)


_AnyConfig = TypeVar("_AnyConfig", bound=ModelConfig)


class Fields:
    """The fields of one config; wrong ones are collected until ``finish``.

    Args:
        model_type: Named in the messages.
        data: The config's object.
    """

    def __init__(self, model_type: str, data: Mapping[str, Any]) -> None:
        self._model_type = model_type
        self._data = data
        self._place = ""
        self._problems: list[str] = []
        self._wrong: set[str] = set()

    def within(self, key: str, data: Mapping[str, Any]) -> Fields:
        """Return the fields of ``data``, an object of ``key``.

        Wrong ones are collected with this config's own.
        """
        inner = Fields(self._model_type, data)
        inner._place = f"{self._place}{key}: "
        inner._problems, inner._wrong = self._problems, self._wrong
        return inner

    def has(self, key: str) -> bool:
        """Say whether ``key`` is set, and not left open."""
        return self._data.get(key) not in (None, OPEN)

    def first(self, *keys: str) -> str:
        """Return the first of ``keys`` that the data has and not as null, or the last.

        So an older spelling is not looked at when the newer one leaves something open.
        """
        return next((key for key in keys if self._data.get(key) is not None), keys[-1])

    def positive(self, key: str, default: int | None = None) -> int:
        """Return a whole number from 1 on; 0 and null count as absent when defaulted.

        A number that is wrong is reported and read as 1.
        """
        value = self._data.get(key)
        if default is not None and value in (None, 0):
            return max(default, 1)
        most = largest(key)
        if _is_number(value) and isinstance(value, int) and 0 < value <= most:
            return value
        self._expect(key, f"a whole number from 1 to {most}")
        return 1

    def count(self, key: str, default: int) -> int:
        """Return a whole number from 0 on."""
        value = self._data.get(key)
        if value is None:
            return default
        most = largest(key)
        if _is_number(value) and isinstance(value, int) and 0 <= value <= most:
            return value
        self._expect(key, f"a whole number from 0 to {most}")
        return 0

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number greater than 0."""
        value = self._data.get(key)
        if value is None and default is not None:
            return default
        if is_positive(value):
            return float(value)
        self._expect(key, "a number greater than 0")
        return 1.0

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        value = self._data.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        self._expect(key, "true or false")
        return False

    def accept(self, key: str, *known: str) -> None:
        """Report a ``key`` that is set to anything but one of ``known``."""
        if self._data.get(key) is not None:
            self.choice(key, *known)

    def read(self, config: type[_AnyConfig], **decided: object) -> _AnyConfig:
        """Return a ``config`` of ``decided``, its other fields read by their types.

        An int is a whole number from 1 on, a float a number above 0, a bool false when
        absent.

        Raises:
            InputError: As ``finish``.
        """
        known: Any = config  # mypy takes the class of a frozen dataclass for unhashable
        for name, kind in _kinds(known).items():
            if name not in decided:
                decided[name] = self._read(name, kind)
        self.finish()
        return config(**decided)

    def choice(self, key: str, *known: str) -> str:
        """Return one of the texts ``known``."""
        value = self._data.get(key)
        if value in known:
            return str(value)
        self._expect(key, " or ".join(map(repr, known)))
        return known[0]

    def refuse(self, *keys: str, because: str) -> None:
        """Report each of ``keys`` that is set: the architecture ``because``."""
        for key in keys:
            if self._data.get(key):
                found = self._data[key]
                self._report(f"{key!r} is {found!r}, but {self._model_type} {because}")

    def rope_theta(
        self, older: str = "rope_theta", absent: float | None = 10000.0
    ) -> float:
        """Return the base of RoPE, which older checkpoints call ``older``.

        ``absent`` is that of configs that do not tell it; None: they have to.
        """
        names = ("position_embedding_base", "rope_theta", older)
        return self._of_rope("rope_theta", names, absent)

    def rotated_share(
        self, key: str, width: int, default: float | None = None
    ) -> float:
        """Return how much of a head of ``width`` is rotated: an even number of it."""
        share = self._of_rope("partial_rotary_factor", (key,), default)
        rotated = int(min(width * share, 2 * width))
        self.require(
            rotated % 2 == 0 < rotated <= width,
            f"{key!r} is {share}, which rotates {rotated} of {width} dimensions: "
            "expected an even number of them",
        )
        return min(share, 1.0)

    def _of_rope(
        self, key: str, beside: tuple[str, ...], absent: float | None
    ) -> float:
        """Return the number ``key`` of RoPE, or what has one of the names ``beside``.

        Where several are set they are equal; where none is, it is ``absent``.
        """
        rope = self._rope
        told = [name for name in beside if self._data.get(name) is not None]
        found = {name: self.number(name) for name in told}
        if rope._data.get(key) is not None:
            name = f"{rope._place}{key}".removeprefix(self._place)
            found[name] = rope.number(key)
        if not found:
            return self.number(beside[-1], absent)
        if len(found) > 1:
            said = " and ".join(f"{value} ({name})" for name, value in found.items())
            self.require(
                len(set(found.values())) == 1,
                f"expected one {key}, found {said}: leave the right one",
                *(key, *beside),
            )
        return next(iter(found.values()))

    @cached_property
    def _rope(self) -> Fields:
        """The fields of the object on RoPE, which has an older and a newer name.

        Where both are set, what both of them say is the same.
        """
        said: dict[str, Any] = {}
        old, new = "rope_scaling", "rope_parameters"
        for name in (old, new):
            found = self._data.get(name) or {}
            if not isinstance(found, dict):
                self._expect(name, "an object")
                continue
            told = {key: value for key, value in found.items() if value is not None}
            if "type" in told:
                told.setdefault("rope_type", told["type"])
            differ = [key for key in told if key in said and said[key] != told[key]]
            self.require(not differ, f"{old} and {new} differ in {', '.join(differ)}")
            said |= told
        return self.within(old if self._data.get(old) else new, said)

    def scaling(self) -> tuple[str, dict[str, Any]]:
        """Return how RoPE is scaled, ``default`` if it is not, and all said of that."""
        said = dict(self._rope._data)
        return str(said.get("rope_type", "default")), said

    def rope_scaling(
        self, known: Mapping[str, tuple[str, ...]]
    ) -> dict[str, Any] | None:
        """Return ``rope_type`` and its parameters, or None when RoPE is not scaled.

        Args:
            known: Each ``rope_type`` and the keys that it needs.
        """
        kind, found = self.scaling()
        if kind == "default":
            return None
        if kind not in known:
            names = f"one of {', '.join(sorted(known))}" if known else "none"
            self._report(f"rope_scaling is {kind!r}, expected {names}")
            return None
        inner = self.within("rope_scaling", found)
        values = {key: _rope_number(inner, key) for key in known[kind]}
        return {"rope_type": kind, **values}

    def weight_block_size(self) -> tuple[int, int] | None:
        """Return rows and columns of a block of weights in 8-bit floats, if they are.

        That is MLC's field, or a part of what a checkpoint says of its quantization.
        """
        found = self._data.get("weight_block_size")
        quantization = self._data.get("quantization_config")
        if found is None and isinstance(quantization, dict):
            found = quantization.get("weight_block_size")
        if found is None:
            return None
        most = largest("weight_block_size")
        if isinstance(found, list | tuple) and len(found) == 2:
            rows, columns = found
            if all(type(size) is int and 0 < size <= most for size in found):
                return rows, columns
        message = f"expected two whole numbers from 1 to {most}, found {found!r}"
        self._report(f"'weight_block_size': {message}")
        return None

    def require(self, holds: bool, otherwise: str, *about: str) -> None:
        """Report ``otherwise`` unless ``holds``.

        What is ``about`` fields that were reported themselves would say nothing more.
        """
        if not holds and self._wrong.isdisjoint(about):
            self._report(otherwise)

    def finish(self) -> None:
        """Raise what was collected.

        Raises:
            InputError: Anything was.
        """
        place = f"config of {self._model_type}"
        if self._problems:
            once = dict.fromkeys(self._problems)
            raise InputError([Problem(place, 0, 0, each) for each in once])

    def _read(self, key: str, kind: type) -> object:
        if kind is bool:
            return self.flag(key)
        if kind is float:
            return self.number(key)
        assert kind is int, f"{key}: say how to read {kind}"
        return self.positive(key, 1 if key in _ALONE else None)

    def _expect(self, key: str, what: str) -> None:
        self._wrong.add(key)
        found = repr(self._data[key]) if key in self._data else "nothing"
        self._report(f"{key!r}: expected {what}, found {found}")

    def _report(self, problem: str) -> None:
        self._problems.append(self._place + problem)


@cache
def _kinds(config: type[ModelConfig]) -> dict[str, Any]:
    """Return the types of the fields of ``config``, in their order."""
    kinds = get_type_hints(config)
    return {each.name: kinds[each.name] for each in fields(config)}


def is_positive(value: object) -> TypeGuard[int | float]:
    """Say whether ``value`` is a number above 0 that a float can be."""
    return _is_number(value) and 0 < value <= sys.float_info.max


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rope_number(fields: Fields, key: str) -> float | int:
    if key == "original_max_position_embeddings":
        return fields.positive(key)
    return fields.number(key)
