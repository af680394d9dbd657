"""What scripts give to the methods of the tool, refused before anything is done.

A step would say it too, but only once those before it have run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from mlcx.errors import UsageError
from mlcx.spec.devices import DEVICES
from mlcx.spec.overrides import mistaken
from mlcx.spec.schema import schemes
from mlcx.spec.types import SourceKind
from mlcx.spec.verify_rules import REFERENCES
from mlcx.spec.violations import did_you_mean

__all__ = [
    "expect",
    "expect_library",
    "expect_reference",
    "expect_scheme",
    "expect_understood",
]

_LIBRARY, _REFERENCE = "MLCLibrary", "MLCReference"


def expect_understood(
    name: str, method: Callable[..., Any], *args: Any, **kwargs: Any
) -> None:
    """Refuse arguments that ``method``, which scripts call ``name``, does not have."""
    signature = inspect.signature(method)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        known = ", ".join(list(signature.parameters)[1:])
        raise UsageError(f"{name}: {error}: its arguments are {known}") from error


def expect(owner: str, name: str, value: object, known: Collection[object]) -> None:
    """Refuse a ``value`` of the argument ``name`` of ``owner`` that is not known."""
    if value not in known:
        listed = ", ".join(map(str, known))
        hint = did_you_mean(value, map(str, known))
        message = f"expected one of {listed}, found {value!r}{hint}"
        raise UsageError(f"{owner}: {name}: {message}")


def expect_scheme(owner: str, quantization: str) -> None:
    """Refuse what is no scheme; a recipe, its step reads."""
    text = str(quantization)
    if not (text.startswith("{") or text.endswith(".json")):
        expect(owner, "quantization", quantization, schemes())


def expect_library(
    kind: str,
    device: str,
    quantization: str | None,
    overrides: Mapping[str, object] | None,
) -> None:
    """Refuse what no library can be made of, or for."""
    expect(_LIBRARY, "kind", kind, get_args(SourceKind))
    expect(_LIBRARY, "device", device, DEVICES)
    if quantization is None:
        if kind == "checkpoint":
            message = "a checkpoint needs one, such as 'q4f16_1'"
            raise UsageError(f"{_LIBRARY}: quantization: {message}")
    else:
        expect_scheme(_LIBRARY, quantization)
    if why := mistaken(overrides or {}):
        raise UsageError(f"{_LIBRARY}: overrides: {why}")


def expect_reference(tokens: object, quantization: str) -> None:
    """Refuse what a reference cannot be made with."""
    expect(_REFERENCE, "quantization", quantization, REFERENCES)
    if type(tokens) is not int or tokens < 2:
        message = f"expected a whole number from 2 on, found {tokens!r}"
        raise UsageError(f"{_REFERENCE}: tokens: {message}")
