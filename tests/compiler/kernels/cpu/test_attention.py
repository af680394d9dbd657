from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest

from mlcx.compiler.kernels.attention_shape import Heads
from mlcx.compiler.kernels.cpu.attention import (
    paged_decode,
    paged_prefill,
    ragged_prefill,
)
from mlcx.compiler.kernels.rotation import Rotation, frequencies

from ...attention_reference import attention, causal, rotated
from .target_kernel import HOST, NARROW, build_for

SCALE = 0.21
INLINE = (1, 1.0, 1e4, SCALE)
ROTATED = (0, 1.0, 1e4, SCALE)


def heads(
    q: int,
    kv: int,
    d: int,
    dtype: str,
    rotary: int | None = None,
    interleaved: bool = False,
    amplitude: float = 1.0,
    **more: float,
) -> Heads:
    turn = frequencies(1e4, rotary or d, None)
    return Heads(q, kv, d, dtype, Rotation(turn, interleaved, amplitude), **more)


SHAPES = {
    "grouped": (HOST, heads(16, 2, 64, "float16")),
    "one head a key": (HOST, heads(2, 2, 80, "float32")),
    "odd group, partly rotated": (HOST, heads(14, 2, 128, "float16", rotary=64)),
    "narrow vectors": (NARROW, heads(6, 2, 20, "float32", rotary=12)),
    "neighbours turn": (HOST, heads(4, 4, 40, "float32", 24, interleaved=True)),
    "longer and turned": (HOST, heads(4, 2, 40, "float32", 24, amplitude=1.25)),
    "group above a block": (HOST, heads(48, 1, 32, "float32")),
}
shapes = pytest.mark.parametrize(("target", "heads"), SHAPES.values(), ids=SHAPES)


def ints(*values: int) -> np.ndarray:
    return np.array(values, "int32")


def indptr(lengths: list[int]) -> np.ndarray:
    return np.cumsum([0, *lengths]).astype("int32")


@dataclass(frozen=True)
class Case:
    """Sequences' queries, and what the kernel is to fill."""

    heads: Heads
    q: np.ndarray
    q_indptr: np.ndarray
    out: np.ndarray
    lse: np.ndarray

    @classmethod
    def make(cls, rng: np.random.Generator, heads: Heads, lengths: list[int]) -> "Case":
        q = 2 * rng.standard_normal((sum(lengths), heads.num_q_heads, heads.head_dim))
        lse = np.full(q.shape[:2], np.nan, "float32")
        out = np.full(q.shape, np.nan, heads.dtype)
        return cls(heads, q.astype(heads.dtype), indptr(lengths), out, lse)

    def rows(self, s: int) -> slice:
        return slice(self.q_indptr[s], self.q_indptr[s + 1])

    def check(self, s: int, k, v, seen, rotate=None) -> None:
        """Compare sequence ``s``; ``rotate`` is (query positions, key positions)."""
        q, rows = self.q[self.rows(s)], self.rows(s)
        if rotate is not None:
            turning = asdict(self.heads.rotation)
            turn = np.array(turning.pop("frequencies"))
            q = rotated(q, rotate[0], turn, **turning)
            k = rotated(k, rotate[1], turn, **turning)
        out, lse = attention(q, k, v, seen, SCALE, self.heads.softcap)
        exact = self.heads.dtype == "float32"
        tolerance = 2e-5 if exact and rotate is None else 4e-5 if exact else 2e-3
        some = seen.any(-1)
        np.testing.assert_allclose(self.out[rows], out, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(self.lse[rows][some], lse[some], atol=3e-4)
        assert (self.lse[rows][~some] < -1e20).all()


def keys_and_values(rng, heads: Heads, length: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (2, length, heads.num_kv_heads, heads.head_dim)
    return tuple(rng.standard_normal(shape).astype(heads.dtype))


@dataclass(frozen=True)
class Cache:
    """Sequences' keys and values, scattered over pages in a random order."""

    k: list[np.ndarray]
    v: list[np.ndarray]
    pages: np.ndarray
    indptr: np.ndarray
    values: np.ndarray
    info: np.ndarray

    @classmethod
    def make(cls, rng, heads: Heads, slots: list[int], page_size: int = 16) -> "Cache":
        counts = [-(-n // page_size) for n in slots]
        shape = (sum(counts) + 2, 2, heads.num_kv_heads, page_size, heads.head_dim)
        pages = rng.standard_normal(shape).astype(heads.dtype)
        values = rng.permutation(len(pages))[: sum(counts)].astype("int32")
        starts = indptr(counts)
        k, v = [], []
        for s, n in enumerate(slots):
            mine = pages[values[starts[s] : starts[s + 1]]].transpose(1, 0, 3, 2, 4)
            mine = mine.reshape(2, -1, heads.num_kv_heads, heads.head_dim)
            k.append(mine[0, :n])
            v.append(mine[1, :n])
        last = ints(*((n - 1) % page_size + 1 if n else 0 for n in slots))
        return cls(k, v, pages, starts, values, last)

    def sliding(self, offsets: list[int], sinks: list[int]) -> "Cache":
        """Let each sequence forget the slots from its sink to its window's offset."""

        def kept(x: np.ndarray, s: int) -> np.ndarray:
            return np.concatenate([x[: sinks[s]], x[offsets[s] :]])

        return replace(
            self,
            k=[kept(x, s) for s, x in enumerate(self.k)],
            v=[kept(x, s) for s, x in enumerate(self.v)],
            info=np.array([self.info, offsets, sinks], "int32"),
        )

    @property
    def arguments(self) -> tuple[np.ndarray, ...]:
        return self.pages, self.indptr, self.values, self.info


@shapes
def test_ragged_prefill_is_causal_from_the_last_row_up(target, heads, rng):
    lengths, kv_lengths = [5, 1, 70], [5, 9, 75]
    run = build_for(target, ragged_prefill(target, heads, tree=False))
    case = Case.make(rng, heads, lengths)
    k, v = keys_and_values(rng, heads, sum(kv_lengths))
    kv_indptr, unused = indptr(kv_lengths), np.zeros(sum(lengths), "int32")
    outputs = (case.out, case.lse)
    for flag in (1, 0):
        args = (case.q, case.q_indptr, k, v, kv_indptr, unused, ints(0, 0, 0))
        run(*args, *outputs, flag, *ROTATED)
        for s, (n, m) in enumerate(zip(lengths, kv_lengths, strict=True)):
            mine = slice(kv_indptr[s], kv_indptr[s + 1])
            seen = causal(n, m) if flag else np.ones((n, m), bool)
            case.check(s, k[mine], v[mine], seen)


@shapes
def test_ragged_prefill_rotates_queries_and_keys_on_request(target, heads, rng):
    lengths, offsets = [3, 40], [7, 100]
    run = build_for(target, ragged_prefill(target, heads, tree=False))
    case = Case.make(rng, heads, lengths)
    k, v = keys_and_values(rng, heads, sum(lengths))
    positions = [np.arange(n) + o for n, o in zip(lengths, offsets, strict=True)]
    args = (case.q, case.q_indptr, k, v, case.q_indptr)
    rope = (np.concatenate(positions).astype("int32"), ints(*offsets))
    run(*args, *rope, case.out, case.lse, 1, *INLINE)
    for s, n in enumerate(lengths):
        mine = case.rows(s)
        case.check(s, k[mine], v[mine], causal(n, n), (positions[s], positions[s]))


@shapes
def test_paged_prefill_sees_the_whole_cache_or_is_causal(target, heads, rng):
    lengths, cached = [2, 9, 33], [1, 0, 83]
    run = build_for(target, paged_prefill(target, heads))
    case, cache = Case.make(rng, heads, lengths), Cache.make(rng, heads, cached)
    unused = np.zeros(sum(lengths), "int32")
    for flag in (0, 1):
        args = (*cache.arguments, ints(0, 0, 0), unused, case.out, case.lse)
        run(case.q, case.q_indptr, *args, flag, *ROTATED)
        for s, (n, m) in enumerate(zip(lengths, cached, strict=True)):
            seen = causal(n, m) if flag else np.ones((n, m), bool)
            case.check(s, cache.k[s], cache.v[s], seen)


@shapes
@pytest.mark.parametrize("page_size", [16, 5])
def test_paged_decode_takes_one_row_a_sequence(target, heads, page_size, rng):
    cached = [1, 0, 100, 32]
    run = build_for(target, paged_decode(target, heads))
    case = Case.make(rng, heads, [1] * 4)
    cache = Cache.make(rng, heads, cached, page_size)
    zeros = ints(0, 0, 0, 0)
    run(case.q, *cache.arguments, zeros, zeros, case.out, case.lse, *ROTATED)
    for s, m in enumerate(cached):
        case.check(s, cache.k[s], cache.v[s], np.ones((1, m), bool))


@shapes
def test_sliding_kernels_skip_what_lies_between_sink_and_window(target, heads, rng):
    lengths, slots = [2, 1, 35], [70, 20, 3]
    cache = Cache.make(rng, heads, slots).sliding([21, 0, 0], [5, 0, 2])
    cache = replace(cache, k=[*cache.k[:2], cache.k[2]], v=cache.v)
    offsets = ints(0, 3, 0)
    for kernel in (paged_prefill, paged_decode):
        rows = lengths if kernel is paged_prefill else [1] * 3
        case = Case.make(rng, heads, rows)
        lengths_kept = [len(k) for k in cache.k]
        at = [np.arange(n) + m for n, m in zip(rows, lengths_kept, strict=True)]
        run = build_for(target, kernel(target, heads, sliding=True))
        prefill = kernel is paged_prefill
        before = (case.q, case.q_indptr) if prefill else (case.q,)
        positions = np.concatenate(at).astype("int32")
        args = (*cache.arguments, offsets, positions, case.out, case.lse)
        run(*before, *args, *((0,) if prefill else ()), *INLINE)
        for s, (n, m) in enumerate(zip(rows, lengths_kept, strict=True)):
            rotate = (at[s], np.arange(m) + offsets[s])
            case.check(s, cache.k[s], cache.v[s], np.ones((n, m), bool), rotate)


@shapes
@pytest.mark.parametrize("kernel", [paged_prefill, paged_decode])
def test_sliding_kernels_hide_what_the_models_window_leaves(kernel, target, heads, rng):
    """Sequences that have slid, have not yet, and are behind a prefix of 3."""
    heads = replace(heads, window=20, sink=5)
    slots, offsets = [40, 19, 30], ints(0, 0, 3)
    cache = Cache.make(rng, heads, slots).sliding([25, 0, 10], [5, 0, 0])
    prefill = kernel is paged_prefill
    rows = [2, 1, 35] if prefill else [1] * 3
    case = Case.make(rng, heads, rows)
    kept = [len(k) for k in cache.k]
    at = [np.arange(n) + m + o for n, m, o in zip(rows, kept, offsets, strict=True)]
    run = build_for(target, kernel(target, heads, sliding=True))
    before = (case.q, case.q_indptr) if prefill else (case.q,)
    positions = np.concatenate(at).astype("int32")
    args = (*cache.arguments, offsets, positions, case.out, case.lse)
    run(*before, *args, *((0,) if prefill else ()), *INLINE)
    for s, m in enumerate(kept):
        columns = np.arange(m) + offsets[s]
        seen = (at[s][:, None] - columns < 20 - 5) | (columns < 5)
        case.check(s, cache.k[s], cache.v[s], seen, (at[s], columns))


PARENTS = [-1, 0, 0, 1, 1, 3, 2]


def times(parents: list[int]) -> np.ndarray:
    """Return when a depth-first walk enters and leaves each node, as the runtime."""
    spans, clock = np.zeros((len(parents), 2), "int32"), 0

    def walk(node: int) -> None:
        nonlocal clock
        spans[node, 0] = clock
        clock += 1
        for child in (i for i, p in enumerate(parents) if p == node):
            walk(child)
        spans[node, 1] = clock

    for root in (i for i, p in enumerate(parents) if p == -1):
        walk(root)
    return spans


def ancestry(parents: list[int]) -> np.ndarray:
    """Return which nodes each node descends from, itself included."""
    seen = np.eye(len(parents), dtype=bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            seen[node] |= seen[parent]
    return seen


@shapes
def test_ragged_tree_sees_ancestors_only(target, heads, rng):
    trees = [PARENTS, [-1], [-1, 0, 1]]
    lengths = [len(tree) for tree in trees]
    run = build_for(target, ragged_prefill(target, heads, tree=True))
    case = Case.make(rng, heads, lengths)
    k, v = keys_and_values(rng, heads, sum(lengths))
    order = np.concatenate([times(tree) for tree in trees])
    positions = np.zeros(sum(lengths), "int32")
    args = (case.q, case.q_indptr, k, v, case.q_indptr, positions, case.q_indptr)
    run(*args, order, case.out, case.lse, *ROTATED)
    for s, tree in enumerate(trees):
        mine = case.rows(s)
        case.check(s, k[mine], v[mine], ancestry(tree))


@shapes
def test_paged_tree_sees_the_past_and_ancestors(target, heads, rng):
    # The second sequence appends the last two nodes of a tree begun before; of the
    # third, these pages hold no tree.
    past, rows, sizes = [41, 3, 20], [len(PARENTS), 2, 3], [len(PARENTS)] * 2 + [0]
    slots = [n + size for n, size in zip(past, sizes, strict=True)]
    run = build_for(target, paged_prefill(target, heads, tree=True))
    case, cache = Case.make(rng, heads, rows), Cache.make(rng, heads, slots)
    order = np.concatenate([times(PARENTS)] * 2)
    tree = (indptr(sizes), order)
    args = (*cache.arguments, ints(0, 0, 0), np.zeros(sum(rows), "int32"))
    run(case.q, case.q_indptr, *args, case.out, case.lse, *ROTATED, *tree)
    for s, n in enumerate(rows):
        seen = np.ones((n, past[s]), bool)
        if sizes[s]:
            seen = np.concatenate([seen, ancestry(PARENTS)[-n:]], axis=1)
        case.check(s, cache.k[s], cache.v[s], seen)


BOUNDED = {
    "float16": (HOST, heads(6, 2, 64, "float16", softcap=3.0, layer_window=20)),
    "narrow": (NARROW, heads(2, 2, 20, "float32", softcap=0.7, layer_window=33)),
}
bounded = pytest.mark.parametrize(("target", "heads"), BOUNDED.values(), ids=BOUNDED)


def layers_of(heads: Heads) -> list[tuple[int, tuple[float, ...]]]:
    """Return the window and the arguments of a layer that slides and one that does not.

    A window that hides nothing stands for none.
    """
    sliding = (*ROTATED[:-1], -SCALE)
    return [(heads.layer_window or 0, sliding), (10**6, ROTATED)]


def seen_in(window: int, at: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Say which columns rows at some positions see."""
    distance = np.asarray(at)[:, None] - columns
    return (distance >= 0) & (distance < window)


@bounded
def test_new_tokens_see_a_layers_window_and_cap_scores(target, heads, rng):
    lengths, offsets = [70, 1, 9], [50, 3, 0]
    run = build_for(target, ragged_prefill(target, heads, tree=False))
    k, v = keys_and_values(rng, heads, sum(lengths))
    at = [np.arange(n) + o for n, o in zip(lengths, offsets, strict=True)]
    positions = np.concatenate(at).astype("int32")
    for window, rest in layers_of(heads):
        case = Case.make(rng, heads, lengths)
        args = (case.q, case.q_indptr, k, v, case.q_indptr, positions, ints(*offsets))
        run(*args, case.out, case.lse, 1, *rest)
        for s, mine in enumerate(map(case.rows, range(len(lengths)))):
            case.check(s, k[mine], v[mine], seen_in(window, at[s], at[s]))


@bounded
@pytest.mark.parametrize("kernel", [paged_prefill, paged_decode])
def test_cached_tokens_leave_a_layers_window(kernel, target, heads, rng):
    """Rows of two sequences that share a prefix come as one, each at its own place.

    Of the last sequence's cache, nothing is in sight any more.
    """
    prefill = kernel is paged_prefill
    at = [[107, 108, 109, 121], [45], [90]] if prefill else [[107], [45], [90]]
    slots, starts = [100, 40, 30], ints(7, 0, 0)
    cache = Cache.make(rng, heads, slots)
    run = build_for(target, kernel(target, heads))
    positions = ints(*(row for rows in at for row in rows))
    for window, rest in layers_of(heads):
        case = Case.make(rng, heads, [len(rows) for rows in at])
        before = (case.q, case.q_indptr) if prefill else (case.q,)
        args = (*cache.arguments, starts, positions, case.out, case.lse)
        run(*before, *args, *((0,) if prefill else ()), *rest)
        for s, start in enumerate(starts):
            seen = seen_in(window, at[s], start + np.arange(slots[s]))
            case.check(s, cache.k[s], cache.v[s], seen)


@bounded
def test_a_tree_stays_in_sight_of_a_layer_that_slides(target, heads, rng):
    past, size = 60, len(PARENTS)
    cache = Cache.make(rng, heads, [past + size])
    run = build_for(target, paged_prefill(target, heads, tree=True))
    at = past + ancestry(PARENTS).sum(-1) - 1
    for window, rest in layers_of(heads):
        case = Case.make(rng, heads, [size])
        args = (*cache.arguments, ints(0), at.astype("int32"), case.out, case.lse)
        tree = (indptr([size]), times(PARENTS))
        run(case.q, case.q_indptr, *args, *rest, *tree)
        before = seen_in(window, at, np.arange(past))
        seen = np.concatenate([before, ancestry(PARENTS)], axis=1)
        case.check(0, cache.k[0], cache.v[0], seen)


def test_scores_far_apart_neither_overflow_nor_vanish(rng):
    target, shape = HOST, heads(4, 1, 32, "float32")
    run = build_for(target, ragged_prefill(target, shape, tree=False))
    case = Case.make(rng, shape, [40])
    case.q[...] *= 400
    k, v = keys_and_values(rng, shape, 40)
    zeros = np.zeros(40, "int32")
    args = (case.q, case.q_indptr, k, v, case.q_indptr, zeros, ints(0))
    run(*args, case.out, case.lse, 1, *ROTATED)
    scores = np.einsum("rhd,cd->hrc", case.q.astype("float64"), k[:, 0]) * SCALE
    scores = np.where(causal(40, 40), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("hrc,cd->rhd", weights, v[:, 0])
    np.testing.assert_allclose(case.out, expected, atol=2e-3)
