"""What a step does before its verb runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlcx.policy import Policy
from mlcx.report.journal import Result
from mlcx.scons.step import Step
from mlcx.steps.about import About
from mlcx.steps.requests import Request


@pytest.mark.parametrize(
    ("verb", "target"), [("compile", "dist/one.wasm"), ("web_runtime", "runtime.o")]
)
@pytest.mark.parametrize("policy", [Policy.READONLY, Policy.OFF])
def test_nothing_that_compiles_runs_where_the_policy_forbids_it(
    verb: str, target: str, policy: Policy
) -> None:
    said: list[str] = []
    noted: list[Result] = []
    services: Any = SimpleNamespace(
        policy=policy,
        reporter=SimpleNamespace(error=said.append),
        journal=SimpleNamespace(add=noted.append),
    )
    request = Request(verb, (), ())
    step = Step(verb, (target,), "log", About(), services, request)
    assert step("", None, verb, [verb], {}) == 1
    assert [(each.target, each.status) for each in noted] == [(target, "failed")]
    assert said[0].startswith(f"{target} ")
    assert said[0].endswith(f", and MLC_JIT_POLICY is {policy.name}")
