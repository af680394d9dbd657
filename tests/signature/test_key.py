"""Keys: what a step makes has one name, wherever and under whatever name it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlcx.signature.compiling import compiling, normalizing, override_text
from mlcx.signature.key import key
from mlcx.spec.devices import DEVICES

OPTIONS: dict[str, Any] = {"opt": "O0", "host": "auto", "mcpu": "auto"}


def library(
    device: str = "cpu",
    suffix: str = ".so",
    contents: tuple[str, ...] = ("a",),
    position: int = 0,
    **options: Any,
) -> str:
    made_with = compiling(device, suffix, **{**OPTIONS, **options})
    return key(made_with, contents, suffix, position)


@pytest.mark.parametrize(
    "change",
    [
        {"device": "cuda"},
        {"suffix": ".tar"},
        {"contents": ("b",)},
        {"contents": ("a", "a")},
        {"position": 1},
        {"opt": "O2"},
        {"host": "aarch64-linux-gnu"},
        {"mcpu": "x86-64"},
        {"prefix": "one_"},
    ],
)
def test_what_matters_is_in_a_key(change: dict[str, Any]) -> None:
    assert library(**change) != library()
    assert len(library()) == 64


def test_overrides_and_a_quantization_of_its_own_are_in_that_of_a_config() -> None:
    given = [(None, ""), ("q4f16_1", ""), (None, "a=1"), ("a=1", "")]
    assert len({key(normalizing(*pair), ["a"], ".json") for pair in given}) == 4


def test_overrides_are_text_as_on_a_command_line() -> None:
    assert override_text([("a", 1), ("b", True), ("c", "x")]) == "a=1;b=true;c=x"


def test_a_key_has_the_host_that_a_preset_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A library for another release of a system is another library."""
    phone = {"device": "iphone", "suffix": ".tar", "prefix": "one_"}
    before = library(**phone)
    assert library(**phone, host=DEVICES["iphone"].host) == before
    newer = replace(DEVICES["iphone"], host="arm64-apple-ios17.0")
    monkeypatch.setitem(DEVICES, "iphone", newer)
    assert library(**phone) != before
