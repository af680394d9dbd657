"""The created state, driven through the runtime as an engine does."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax.frontend import nn

from mlcx.compiler.passes.lower_rnn_state import LowerRNNState
from mlcx.compiler.targets import target_of
from mlcx.nn.rnn_state import RNNState, RNNStateSpec, StateSpec

SPEC = RNNStateSpec(2, (StateSpec((3,), "float16"), StateSpec((2, 2, 3), "float32")))
LAYER = 1


class Counter(nn.Module):
    """Adds ``x`` (b,) to all of the second layer's state, and returns it."""

    def count(self, x: nn.Tensor, state: RNNState):
        found = []
        for index, spec in enumerate(SPEC.states):
            old = state.get(LAYER, index, spec, x.shape[0])
            ones = (x.shape[0], *[1] * len(spec.shape))
            new = old + nn.op.reshape(x.astype(spec.dtype), ones)
            state = state.set(LAYER, index, new)
            found.append(new.astype("float32"))
        return (*found, state)

    def create_rnn_state(self, max_batch_size, max_history):
        return RNNState.create(SPEC, max_batch_size, max_history)


def exported() -> tvm.IRModule:
    plain = {"param_mode": "none", "effect_mode": "none"}
    state = nn.spec.Object(object_type=RNNState)
    functions = {
        "count": {"x": nn.spec.Tensor(("b",), "float32"), "state": state, "$": plain},
        "create_rnn_state": {"max_batch_size": int, "max_history": int, "$": plain},
    }
    return Counter().export_tvm(functions)[0]


@pytest.fixture(scope="module")
def machine() -> relax.VirtualMachine:
    target = target_of("cpu")
    executable = tvm.compile(LowerRNNState(target)(exported()), target=target)
    return relax.VirtualMachine(executable, tvm.cpu())


def builtin(name: str):
    return tvm.get_global_func(f"vm.builtin.kv_state_{name}")


class States:
    """A state object with room for 3 sequences."""

    def __init__(self, machine: relax.VirtualMachine, history: int) -> None:
        self.machine = machine
        self.state = machine["create_rnn_state"](
            tvm.runtime.ShapeTuple([3]), tvm.runtime.ShapeTuple([history])
        )

    def __getattr__(self, name: str):
        return lambda *numbers: builtin(name)(self.state, *numbers)

    def count(self, added: dict[int, int], length: int = 1) -> list[float]:
        """Add to each sequence and return what each has then."""
        shape = tvm.runtime.ShapeTuple
        self.begin_forward(shape(list(added)), shape([length] * len(added)))
        x = np.array(list(added.values()), "float32")
        *found, _ = self.machine["count"](tvm.runtime.tensor(x), self.state)
        self.end_forward()
        arrays = [each.numpy().reshape(len(added), -1) for each in found]
        assert [each.shape[1] for each in arrays] == [3, 12]
        assert all((each == arrays[0][:, :1]).all() for each in arrays)
        return arrays[0][:, 0].tolist()


def test_sequences_have_states_of_their_own_that_start_at_zero(machine) -> None:
    states = States(machine, 1)
    for sequence in (7, 8, 9):
        states.add_sequence(sequence)
    assert states.count({7: 1, 8: 10}) == [1, 10]
    assert states.count({9: 5, 7: 2}) == [5, 3]
    states.remove_sequence(7)
    states.add_sequence(4)
    assert states.count({4: 100, 8: 1, 9: 1}) == [100, 11, 6]


def test_single_tokens_can_be_taken_back_within_the_history(machine) -> None:
    states = States(machine, 3)
    states.add_sequence(0)
    for number in range(1, 6):
        states.count({0: number})
    states.popn(0, 2)
    assert states.count({0: 100}) == [106]
    with pytest.raises(tvm.error.InternalError, match="available history"):
        states.popn(0, 3)


def test_a_fork_goes_on_from_its_parent_alone(machine) -> None:
    states = States(machine, 2)
    states.add_sequence(0)
    states.count({0: 1}, length=4)
    states.fork_sequence(0, 1, -1)
    assert states.count({0: 10, 1: 20}) == [11, 21]


def test_a_number_of_sequences_other_than_the_forwards_is_refused(machine) -> None:
    states = States(machine, 1)
    states.add_sequence(0)
    shape = tvm.runtime.ShapeTuple
    states.begin_forward(shape([0]), shape([1]))
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        machine["count"](tvm.runtime.tensor(np.ones(2, "float32")), states.state)


def test_a_spec_reads_back_from_its_text() -> None:
    assert RNNStateSpec.from_json(SPEC.to_json()) == SPEC
