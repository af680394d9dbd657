"""The state of a recurrent model: created by a placeholder, then read and written.

A sequence has a fixed number of tensors per layer, however long it is. A model only
says which; a pass of the compiler puts the device's kernels into the creation
(``passes/lower_rnn_state.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from tvm import ir, relax, tirx
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn.core import wrap_nested

__all__ = ["CREATE_RNN_STATE", "RNNState", "RNNStateSpec", "StateSpec"]

CREATE_RNN_STATE = "mlcx.create_rnn_state"
"""Packed function called with Shape(2) and a JSON string; never reaches a library."""


@dataclass(frozen=True)
class StateSpec:
    """One tensor of a layer's state, for one sequence; zero at first."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class RNNStateSpec:
    """What a model asks of its state: the same tensors in every layer."""

    num_layers: int
    states: tuple[StateSpec, ...]

    def to_json(self) -> str:
        """Return this as text; equal specs give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RNNStateSpec:
        """Read what ``to_json`` wrote."""
        value = json.loads(text)
        states = tuple(
            StateSpec(tuple(each["shape"]), each["dtype"]) for each in value["states"]
        )
        return cls(value["num_layers"], states)


class RNNState(nn.Object):
    """The state object inside a model's functions, of the sequences in the forward."""

    @staticmethod
    def create(
        spec: RNNStateSpec, max_batch_size: tirx.Var, max_history: tirx.Var
    ) -> RNNState:
        """Emit the placeholder that creates a state.

        Args:
            spec: Its tensors.
            max_batch_size: Most sequences.
            max_history: States kept of each sequence, 1 or more: with n, the last
                n - 1 tokens that were fed one at a time can be taken back.
        """
        sizes = relax.ShapeExpr([max_batch_size, max_history])
        text = ir.StringImm(spec.to_json())
        call = relax.call_pure_packed(
            CREATE_RNN_STATE, sizes, text, ty_args=relax.AnyType()
        )
        return RNNState(_expr=call, _name="rnn_state")

    def get(
        self, layer: int, index: int, spec: StateSpec, batch: tirx.Expr | int
    ) -> nn.Tensor:
        """Return a copy (batch, *shape) of a tensor, before the tokens of the forward.

        ``batch`` must be the number of sequences in the forward.
        """
        call = relax.call_dps_packed(
            "vm.builtin.rnn_state_get",
            [self._expr, relax.prim_value(layer), relax.prim_value(index)],
            relax.TensorType([batch, *spec.shape], spec.dtype),
        )
        return wrap_nested(call, "rnn_state_get")

    def set(self, layer: int, index: int, value: nn.Tensor) -> RNNState:
        """Return the state with a tensor as it is after the tokens of the forward."""
        call = relax.call_pure_packed(
            "vm.builtin.rnn_state_set",
            self._expr,
            relax.prim_value(layer),
            relax.prim_value(index),
            value._expr,
            ty_args=relax.AnyType(),
        )
        return RNNState(_expr=call, _name="rnn_state")
