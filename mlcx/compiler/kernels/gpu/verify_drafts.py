"""Speculative decoding on the GPU: which draft tokens of a tree the model accepts.

What is done is that of `kernels.cpu.verify_drafts`, with sums in float32: a block for
each sequence, whose threads take every step together.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import Block, block, meet
from mlcx.compiler.kernels.limits import NO_RESIDUAL
from mlcx.compiler.kernels.script import define, view

__all__ = ["verify_draft_tokens"]


def verify_draft_tokens(vocab_size: int) -> tirx.PrimFunc:
    """Return the in-place verification of one draft tree for each sequence.

    f(draft_probs (N, V) f32, draft_tokens (N,) i32, model_probs (N, V) f32,
    first_child (N,) i32, next_sibling (N,) i32, uniform (N,) f32, parent (b,) i32).
    """

    def emit() -> None:
        n, b = T.int64(), T.int64()
        draft = view("draft_probs", (n, vocab_size), "float32")
        tokens = view("draft_tokens", (n,), "int32")
        model = view("model_probs", (n, vocab_size), "float32")
        first_child = view("token_tree_first_child", (n,), "int32")
        next_sibling = view("token_tree_next_sibling", (n,), "int32")
        uniform = view("uniform_samples", (n,), "float32")
        parent = view("token_tree_parent_ptr", (b,), "int32")
        with block(b) as here:
            (i,) = here.at
            at = here.local("int32", parent[i])
            child = here.local("int32", first_child[at[0]])
            with T.While(T.tvm_thread_invariant(child[0] >= 0)):
                node, drafted = T.bind(at[0]), T.bind(child[0])
                token = T.bind(tokens[drafted])
                p, q = model[node, token], draft[drafted, token]
                likely = T.bind(p >= uniform[drafted] * q)
                mass = _residual(here, model, draft, (node, drafted), vocab_size)
                accepted = T.bind(tirx.any(likely, mass < T.float32(NO_RESIDUAL)))
                with T.If(accepted):
                    with T.Then():
                        T.buffer_store(at, drafted, [0])
                        T.buffer_store(child, first_child[drafted], [0])
                    with T.Else():
                        _leave_residual(here, model, draft, (node, drafted), mass)
                        T.buffer_store(child, next_sibling[drafted], [0])
                # The next step reads what the others have written.
                meet()
            here.only_first(lambda: T.buffer_store(parent, at[0], [i]))

    return define("sampler_verify_draft_tokens", emit)


def _residual(
    here: Block,
    model: tirx.Buffer,
    draft: tirx.Buffer,
    rows: tuple[Expr, Expr],
    width: int,
) -> Expr:
    """Emit the sum of what the model's probabilities exceed the draft's by."""
    part = here.local("float32", T.float32(0))

    def add(v: Expr) -> None:
        T.buffer_store(part, part[0] + _excess(model, draft, rows, v), [0])

    here.strided(width, add)
    return here.reduced(part[0], "float32", lambda x, y: x + y)


def _leave_residual(
    here: Block,
    model: tirx.Buffer,
    draft: tirx.Buffer,
    rows: tuple[Expr, Expr],
    mass: Expr,
) -> None:
    def write(v: Expr) -> None:
        T.buffer_store(model, _excess(model, draft, rows, v) / mass, [rows[0], v])

    here.strided(int(model.shape[1]), write)


def _excess(
    model: tirx.Buffer, draft: tirx.Buffer, rows: tuple[Expr, Expr], v: Expr
) -> Expr:
    return T.max(model[rows[0], v] - draft[rows[1], v], T.float32(0))
