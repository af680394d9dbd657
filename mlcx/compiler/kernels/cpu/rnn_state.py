"""The kernels that copy a recurrent model's state out of and into its storage.

The storage is (sequences, history, *shape), one tensor for each layer and state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.script import array, define, view

__all__ = ["get_state", "set_state"]


def get_state(shape: Sequence[int], dtype: str) -> tirx.PrimFunc:
    """Return f(storage, sequences (b,) int32, history (b,) int32, out (b, *shape)).

    ``out[i] = storage[sequences[i], history[i]]``
    """

    def emit() -> None:
        storage, sequences, history, out = _arguments(shape, dtype, "out")

        def copy(i: Expr, rest: list[Expr]) -> None:
            value = storage[(sequences[i], history[i], *rest)]
            T.buffer_store(out, value, [i, *rest])

        _each(out, copy)

    return define("rnn_state_get", emit)


def set_state(shape: Sequence[int], dtype: str) -> tirx.PrimFunc:
    """Return f(storage, sequences (b,) int32, history (b,) int32, data (b, *shape)).

    ``storage[sequences[i], (history[i] + 1) % n] = data[i]``, n being the length of
    the history: the state before stays, so that tokens can be taken back.
    """

    def emit() -> None:
        storage, sequences, history, data = _arguments(shape, dtype, "data")

        def copy(i: Expr, rest: list[Expr]) -> None:
            slot = (history[i] + 1) % storage.shape[1].astype("int32")
            T.buffer_store(storage, data[(i, *rest)], [sequences[i], slot, *rest])

        _each(data, copy)

    return define("rnn_state_set", emit)


def _arguments(
    shape: Sequence[int], dtype: str, last: str
) -> tuple[tirx.Buffer, tirx.Buffer, tirx.Buffer, tirx.Buffer]:
    most, length, b = T.int64(), T.int64(), T.int64()
    storage = array("storage", (most, length, *shape), dtype)
    sequences = view("sequences", (b,), "int32")
    history = view("history", (b,), "int32")
    return storage, sequences, history, array(last, (b, *shape), dtype)


def _each(rows: tirx.Buffer, copy: Callable[[Expr, list[Expr]], None]) -> None:
    """Emit ``copy`` for every element of ``rows`` (b, *shape)."""
    with T.grid(*rows.shape) as (i, *rest):
        copy(i, rest)
