"""Optimisation flags and their canonical text."""

import pytest

from mlcx.errors import UsageError
from mlcx.spec.devices import Device
from mlcx.spec.opt import FLAGS, canonical

EVERY = Device("any", ".so", static=False, flags=frozenset(FLAGS))
LONG = (
    "flashinfer={};cublas_gemm={};faster_transformer={};cudagraph={};cutlass={};"
    "ipc_allreduce_strategy={}"
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("O0", "0 0 0 0 0 NONE"),
        ("O1", "0 1 1 0 1 NONE"),
        ("O2", "1 1 0 1 1 NONE"),
        ("O3", "1 1 1 1 1 AUTO"),
        ("cudagraph=1", "1 0 0 1 0 NONE"),
        ("ipc_allreduce_strategy=ONESHOT;flashinfer=0", "0 0 0 0 0 ONESHOT"),
        ("cutlass=1;cutlass=0", "1 0 0 0 0 NONE"),
    ],
)
def test_a_text_has_one_canonical_form(text: str, values: str) -> None:
    form = LONG.format(*values.split())
    assert canonical(text, EVERY) == form
    assert canonical(form, EVERY) == form


@pytest.mark.parametrize("text", ["O0", "O3", "cudagraph=1"])
def test_flags_that_a_device_does_not_look_at_do_not_count(text: str) -> None:
    none, one = Device("a", ".so"), Device("b", ".so", flags={"cudagraph"})
    assert canonical(text, none) == "O0"
    assert canonical(canonical(text, none), none) == "O0"
    assert canonical(text, one) == f"cudagraph={int(text != 'O0')}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("o2", 'optimisation flag "o2" is not known: expected one of O0, O1, O2, O3'),
        ("", 'optimisation flag "" is not known'),
        ("cutlass=1;", 'optimisation flag "" is not known'),
        ("cutlass=2", 'expected cutlass=0 or 1, found "cutlass=2"'),
        ("cutlass", 'expected cutlass=0 or 1, found "cutlass"'),
        (
            "ipc_allreduce_strategy=1",
            "expected ipc_allreduce_strategy=NONE or ONESHOT or TWOSHOT or AUTO",
        ),
    ],
)
def test_what_is_no_flag_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        canonical(text, EVERY)
    assert str(caught.value).startswith(message)
