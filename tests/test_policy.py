from __future__ import annotations

import pytest

from mlcx.errors import UsageError
from mlcx.policy import Policy, policy


@pytest.mark.parametrize("name", ["ON", "OFF", "REDO", "READONLY"])
def test_the_variable_names_the_policy(name: str) -> None:
    assert policy({"MLC_JIT_POLICY": name}).name == name


def test_without_the_variable_libraries_are_compiled() -> None:
    assert policy({}) is Policy.ON


@pytest.mark.parametrize(
    ("name", "refused", "redone"),
    [
        ("ON", "", ""),
        ("REDO", "", "compile"),
        ("READONLY", "compile web_runtime", ""),
        ("OFF", "compile web_runtime", "compile"),
    ],
)
def test_the_policy_is_for_what_compiles(name: str, refused: str, redone: str) -> None:
    verbs = ("fetch", "normalize", "compile", "web_runtime", "bundle")
    chosen = Policy[name]
    assert [each for each in verbs if chosen.refuses(each)] == refused.split()
    assert [each for each in verbs if chosen.redoes(each)] == redone.split()


@pytest.mark.parametrize("name", ["", "on", "YES"])
def test_another_value_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="MLC_JIT_POLICY: expected one of ON, REDO"):
        policy({"MLC_JIT_POLICY": name})
