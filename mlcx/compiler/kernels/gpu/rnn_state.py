"""The kernels that copy a recurrent model's state out of and into its storage.

On the GPU, a thread for each element. The storage is (sequences, history, *shape).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import array, define, places, view

__all__ = ["get_state", "set_state"]

_Copy = Callable[[tirx.Buffer, tirx.Buffer, tuple[Expr, Expr], list[Expr]], None]


def get_state(shape: Sequence[int], dtype: str) -> tirx.PrimFunc:
    """Return f(storage, sequences (b,) int32, history (b,) int32, out (b, *shape)).

    ``out[i] = storage[sequences[i], history[i]]``
    """

    def copy(
        storage: tirx.Buffer, out: tirx.Buffer, slot: tuple[Expr, Expr], at: list[Expr]
    ) -> None:
        T.buffer_store(out, storage[(*slot, *at[1:])], at)

    return define("rnn_state_get", lambda: _each("out", shape, dtype, copy))


def set_state(shape: Sequence[int], dtype: str) -> tirx.PrimFunc:
    """Return f(storage, sequences (b,) int32, history (b,) int32, data (b, *shape)).

    ``storage[sequences[i], (history[i] + 1) % n] = data[i]``, n being the length of
    the history: the state before stays, so that tokens can be taken back.
    """

    def copy(
        storage: tirx.Buffer, data: tirx.Buffer, slot: tuple[Expr, Expr], at: list[Expr]
    ) -> None:
        following = (slot[1] + 1) % storage.shape[1].astype("int32")
        T.buffer_store(storage, data[tuple(at)], [slot[0], following, *at[1:]])

    return define("rnn_state_set", lambda: _each("data", shape, dtype, copy))


def _each(last: str, shape: Sequence[int], dtype: str, copy: _Copy) -> None:
    most, length, b = T.int64(), T.int64(), T.int64()
    storage = array("storage", (most, length, *shape), dtype)
    sequences = view("sequences", (b,), "int32")
    history = view("history", (b,), "int32")
    rows = array(last, (b, *shape), dtype)

    def element(i: Expr) -> None:
        at = places(i, [b, *shape])
        copy(storage, rows, (sequences[at[0]], history[at[0]]), at)

    each(b * prod(shape), element)
