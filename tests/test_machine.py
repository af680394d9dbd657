"""Code for this machine, where it lacks what the model of its CPU has."""

import pytest

from mlcx import machine
from mlcx.compiler import targets
from mlcx.compiler.targets import target_of
from mlcx.machine import INSTRUCTION_SETS, own_cpu, runs_code_for
from mlcx.quant import compiled
from mlcx.signature.machine import _FLAGS

WIDE = frozenset(name for name in INSTRUCTION_SETS if name.startswith("avx512"))


def stand_in(
    monkeypatch: pytest.MonkeyPatch, named: str, lacks: frozenset[str]
) -> None:
    here = {name: name not in lacks for name in INSTRUCTION_SETS}
    triple = "x86_64-linux-gnu"
    for module in (machine, targets, compiled):
        monkeypatch.setattr(module, "llvm_get_system_triple", lambda: triple)
    monkeypatch.setattr(machine, "llvm_get_system_cpu", lambda: named)
    monkeypatch.setattr(machine, "_here", lambda: here)


@pytest.mark.parametrize(
    ("named", "lacks", "cpu"),
    [
        ("skylake", WIDE, "skylake"),
        ("skylake-avx512", frozenset(), "skylake-avx512"),
        ("skylake-avx512", WIDE, "x86-64-v3"),
        ("skylake", WIDE | {"avx2"}, "x86-64-v2"),
        ("skylake", frozenset(INSTRUCTION_SETS), "x86-64-v2"),
    ],
)
def test_what_a_machine_lacks_is_not_compiled_for(
    named: str, lacks: frozenset[str], cpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, named, lacks)
    assert own_cpu() == cpu
    assert str(target_of("cpu").attrs["mcpu"]) == cpu
    assert runs_code_for("x86-64-v3") == ("avx2" not in lacks)


def test_weights_are_packed_without_what_a_machine_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch, "skylake", frozenset({"avx2"}))
    assert compiled._target.__wrapped__() is None


def test_this_machine_is_asked() -> None:
    asked = machine._here()
    assert asked
    assert any(asked.values())


def test_machines_that_lack_something_else_share_no_library() -> None:
    assert _FLAGS.issuperset(INSTRUCTION_SETS)
