"""Speculative decoding: which draft tokens of a tree the model's probabilities accept.

The rejection sampling of Leviathan et al. (arXiv:2211.17192), along a tree of drafts:
siblings are tried in turn, and each rejection leaves the parent's residual.
"""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T

from mlcx.compiler.kernels.limits import NO_RESIDUAL

__all__ = ["verify_draft_tokens"]


def verify_draft_tokens(vocab_size: int, lanes: int) -> tirx.PrimFunc:
    """Return the in-place verification of one draft tree for each sequence.

    f(draft_probs (N, V) f32, draft_tokens (N,) i32, model_probs (N, V) f32,
    first_child (N,) i32, next_sibling (N,) i32, uniform (N,) f32, parent (b,) i32).
    Node i was drawn from ``draft_probs[i]``; its children are judged by
    ``model_probs[i]``; -1 ends a list of children. ``parent`` holds the roots. Child c
    is accepted when p >= uniform[c] * q; else ``model_probs`` of its parent becomes
    max(p - q, 0) over its sum and the next sibling is tried. In the end ``parent`` is
    the last accepted node, whose row of ``model_probs`` the next token comes from.
    The trees of two sequences share no node.
    """
    V, L = vocab_size, lanes
    vectors = V // L

    @T.prim_func(s_tir=True)
    def verify(
        var_draft_probs: T.handle,
        var_draft_tokens: T.handle,
        var_model_probs: T.handle,
        var_first_child: T.handle,
        var_next_sibling: T.handle,
        var_uniform: T.handle,
        var_parent: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        N = T.int64()
        b = T.int64()
        draft = T.match_buffer(
            var_draft_probs, (N, V), "float32", elem_offset=T.int64()
        )
        tokens = T.match_buffer(var_draft_tokens, (N,), "int32", elem_offset=T.int64())
        model = T.match_buffer(
            var_model_probs, (N, V), "float32", elem_offset=T.int64()
        )
        first_child = T.match_buffer(
            var_first_child, (N,), "int32", elem_offset=T.int64()
        )
        next_sibling = T.match_buffer(
            var_next_sibling, (N,), "int32", elem_offset=T.int64()
        )
        uniform = T.match_buffer(var_uniform, (N,), "float32", elem_offset=T.int64())
        parent = T.match_buffer(var_parent, (b,), "int32", elem_offset=T.int64())
        for i in T.parallel(b):
            at = T.alloc_buffer((1,), "int32")
            child = T.alloc_buffer((1,), "int32")
            accepted = T.alloc_buffer((1,), "bool")
            lane_mass = T.alloc_buffer((L,), "float64")
            mass = T.alloc_buffer((1,), "float64")
            at[0] = parent[i]
            child[0] = first_child[at[0]]
            while child[0] != -1:
                p: T.let[T.float32] = model[at[0], tokens[child[0]]]
                q: T.let[T.float32] = draft[child[0], tokens[child[0]]]
                accepted[0] = p >= uniform[child[0]] * q
                if not accepted[0]:
                    for l in T.vectorized(L):
                        lane_mass[l] = T.float64(0)
                    for j in range(vectors):
                        for l in T.vectorized(L):
                            lane_mass[l] += T.Cast(
                                "float64",
                                T.max(
                                    model[at[0], j * L + l]
                                    - draft[child[0], j * L + l],
                                    T.float32(0),
                                ),
                            )
                    mass[0] = T.float64(0)
                    for l in range(L):
                        mass[0] += lane_mass[l]
                    for v in range(vectors * L, V):
                        mass[0] += T.Cast(
                            "float64",
                            T.max(model[at[0], v] - draft[child[0], v], T.float32(0)),
                        )
                    accepted[0] = mass[0] < T.float64(NO_RESIDUAL)
                if accepted[0]:
                    at[0] = child[0]
                    child[0] = first_child[child[0]]
                else:
                    scale: T.let[T.float32] = T.Cast("float32", T.float64(1) / mass[0])
                    for v in range(V):
                        model[at[0], v] = scale * T.max(
                            model[at[0], v] - draft[child[0], v], T.float32(0)
                        )
                    child[0] = next_sibling[child[0]]
            parent[i] = at[0]

    return verify
