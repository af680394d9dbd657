"""The created cache, driven through the runtime, against attention in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax.frontend import nn

from mlcx.compiler.passes.lower_kv_cache import CREATE_FUNCTION, LowerKVCache
from mlcx.compiler.targets import target_of
from mlcx.nn.kv_cache import KVCacheSpec, PagedKVCache

from ..attention_reference import attention, rotated

Q, KV, D, LAYERS, SCALE = 6, 2, 16, 2, 0.3
SPEC = KVCacheSpec(LAYERS, Q, KV, D, D, 1e4, None, "float32")
SIZES = "max_batch_size max_total_seq_len prefill_chunk_size page_size".split()


class Attention(nn.Module):
    """Nothing but two layers of attention, each over its own fused heads.

    The first one slides where layers may.
    """

    def __init__(self, spec: KVCacheSpec) -> None:
        self.spec = spec

    def attend(self, first: nn.Tensor, second: nn.Tensor, cache: PagedKVCache):
        slides = self.spec.layer_window is not None
        return (
            cache.attend(0, first, Q, SCALE, slides=slides),
            cache.attend(1, second, Q, SCALE, slides=False),
        )

    def create_paged_kv_cache(
        self,
        max_batch_size,
        max_total_seq_len,
        prefill_chunk_size,
        page_size,
        support_sliding_window,
    ):
        return PagedKVCache.create(
            self.spec,
            max_batch_size,
            max_total_seq_len,
            prefill_chunk_size,
            page_size,
            support_sliding_window,
        )


def exported(spec: KVCacheSpec) -> tvm.IRModule:
    plain = {"param_mode": "none", "effect_mode": "none"}
    qkv = nn.spec.Tensor((1, "t", Q + 2 * KV, D), spec.dtype)
    cache = nn.spec.Object(object_type=PagedKVCache)
    sizes = dict.fromkeys([*SIZES, "support_sliding_window"], int)
    functions = {
        "attend": {"first": qkv, "second": qkv, "cache": cache, "$": plain},
        "create_paged_kv_cache": {**sizes, "$": plain},
    }
    return Attention(spec).export_tvm(functions)[0]


@pytest.fixture(scope="module")
def machines():
    """Return the virtual machine of a spec, compiled once."""
    built: dict[str, relax.VirtualMachine] = {}

    def machine(spec: KVCacheSpec) -> relax.VirtualMachine:
        key = repr(spec)
        if key not in built:
            target = target_of("cpu")
            lowered = LowerKVCache(target)(exported(spec))
            executable = tvm.compile(lowered, target=target)
            built[key] = relax.VirtualMachine(executable, tvm.cpu())
        return built[key]

    return machine


def builtin(name: str):
    return tvm.get_global_func(f"vm.builtin.{name}")


def shape(*values: int):
    return tvm.runtime.ShapeTuple([int(value) for value in values])


class Session:
    """A cache, and beside it all keys and values as a plain list for each sequence.

    A sequence is a list of (position, key, value) with the layers' keys unrotated.
    """

    def __init__(self, machine, spec, rng, *, sliding: int = 0, page: int = 16):
        self.spec, self.rng, self.machine = spec, rng, machine
        sizes = [shape(n) for n in (4, 256, 128, page, sliding)]
        self.cache = machine[CREATE_FUNCTION](*sizes)
        self.inline = bool(sliding)
        self.sequences: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.windows: dict[int, tuple[int, int]] = {}
        base = 1e4 ** (-np.arange(0, spec.rotary_dim, 2) / D)
        factor = spec.rope_scaling["factor"] if spec.rope_scaling else 1
        self.frequencies = base / factor

    def call(self, name: str, *args) -> None:
        builtin(name)(self.cache, *args)

    def add(self, s: int) -> None:
        self.call("kv_state_add_sequence", s)
        self.sequences[s] = []

    def remove(self, s: int) -> None:
        self.call("kv_state_remove_sequence", s)
        del self.sequences[s]

    def pop(self, s: int, n: int) -> None:
        self.call("kv_state_popn", s, n)
        self.sequences[s] = self.sequences[s][:-n]

    def fork(self, parent: int, child: int, at: int) -> None:
        self.call("kv_state_fork_sequence", parent, child, at)
        past = self.sequences[parent]
        self.sequences[child] = past[: len(past) if at == -1 else at]

    def slide(self, s: int, window: int, sink: int) -> None:
        self.call("attention_kv_cache_enable_sliding_window_for_seq", s, window, sink)
        self.windows[s] = (window, sink)

    def commit(self, leaves: dict[int, int], parents: dict[int, list[int]]) -> None:
        name = "attention_kv_cache_commit_accepted_token_tree_nodes"
        self.call(name, shape(*leaves), shape(*leaves.values()))
        for s, leaf in leaves.items():
            size, path = len(parents[s]), []
            node = leaf
            while node != -1:
                path.append(node)
                node = parents[s][node]
            tree = self.sequences[s][-size:]
            self.sequences[s][-size:] = [tree[i] for i in reversed(path)]

    def forward(
        self, lengths: dict[int, int], parents: dict[int, list[int]] | None = None
    ) -> None:
        """Append random tokens to sequences and compare both layers' outputs."""
        total = sum(lengths.values())
        heads = (LAYERS, total, Q + 2 * KV, D)
        qkv = self.rng.standard_normal(heads).astype(self.spec.dtype)
        arguments = [shape(*lengths), shape(*lengths.values())]
        if parents is not None:
            arguments.append(shape(*(p for s in lengths for p in parents[s])))
        self.call("kv_state_begin_forward", *arguments)
        layers = [tvm.runtime.tensor(x[None]) for x in qkv]
        outs = self.machine["attend"](*layers, self.cache)
        self.call("kv_state_end_forward")
        got = np.stack([out.numpy()[0] for out in outs])
        begin = 0
        for s, n in lengths.items():
            mine = slice(begin, begin + n)
            tree = parents[s] if parents is not None else None
            self._compare(s, qkv[:, mine], got[:, mine], tree)
            begin += n

    def _compare(self, s, qkv, got, tree: list[int] | None) -> None:
        n, past = qkv.shape[1], self.sequences[s]
        q, k, v = np.split(qkv, [Q, Q + KV], axis=2)
        tokens = past + [(k[:, i], v[:, i]) for i in range(n)]
        start = len(past)
        at = list(range(len(tokens)))
        seen = np.tri(n, len(tokens), start, dtype=bool)
        if tree is not None:
            for node, parent in enumerate(tree):
                known = seen[node].copy()
                known[start:] = False
                known[start + node] = True
                if parent >= 0:
                    known |= seen[parent]
                seen[node] = known
                at[start + node] = at[start + parent] + 1 if parent >= 0 else start
        if self.spec.window is not None:
            seen &= self._in_window(n, start)
        for layer in range(LAYERS):
            keys = rotated(
                np.stack([token[0][layer] for token in tokens]), at, self.frequencies
            )
            queries = rotated(q[layer], at[start:], self.frequencies)
            values = np.stack([token[1][layer] for token in tokens])
            near = self._near(at, start) if layer == 0 else True
            softcap = self.spec.softcap
            expected, _ = attention(queries, keys, values, seen & near, SCALE, softcap)
            close = 3e-5 if self.spec.dtype == "float32" else 6e-3
            np.testing.assert_allclose(got[layer], expected, rtol=close, atol=close)
        if s in self.windows and len(tokens) > self.windows[s][0]:
            window, sink = self.windows[s]
            tokens = tokens[:sink] + tokens[sink - window :]
        self.sequences[s] = tokens

    def _near(self, at: list[int], start: int) -> np.ndarray | bool:
        """Say which tokens are close enough to those from ``start`` on."""
        if self.spec.layer_window is None:
            return True
        return np.subtract.outer(at[start:], at) < self.spec.layer_window

    def _in_window(self, n: int, start: int) -> np.ndarray:
        """Say which of the tokens each of the last ``n`` may see."""
        sink = self.spec.sink
        column = np.arange(start + n)
        distance = start + np.arange(n)[:, None] - column
        near = distance < self.spec.window - sink
        return near | (column < sink) | (column >= start)


SPECS = {
    "float32": SPEC,
    "float16": replace(SPEC, dtype="float16"),
    "the first layer slides": replace(SPEC, layer_window=21, softcap=1.5),
    "linear": replace(SPEC, rope_scaling={"rope_type": "linear", "factor": 4.0}),
}
specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@specs
@pytest.mark.parametrize("page", [16, 4])
def test_sequences_grow_by_chunks_and_tokens_together_and_alone(
    spec, page, machines, rng
):
    session = Session(machines(spec), spec, rng, page=page)
    session.add(3)
    session.add(7)
    session.forward({3: 19, 7: 2})
    session.forward({7: 40})
    session.forward({7: 1, 3: 1})
    session.forward({3: 1})
    session.forward({3: 5, 7: 1})
    session.pop(7, 6)
    session.forward({3: 1, 7: 1})
    session.remove(3)
    session.add(4)
    session.forward({4: 17, 7: 3})


@specs
def test_forked_sequences_share_their_prefix(spec, machines, rng):
    session = Session(machines(spec), spec, rng)
    session.add(0)
    session.forward({0: 37})
    session.fork(0, 1, 21)
    session.fork(0, 2, -1)
    session.forward({0: 1, 1: 1, 2: 1})
    session.forward({1: 9, 2: 4})
    session.fork(1, 5, 30)
    session.forward({5: 1, 0: 1, 2: 1, 1: 1})
    session.remove(0)
    session.forward({5: 2, 1: 1})


@specs
def test_a_window_slides_behind_its_sink(spec, machines, rng):
    session = Session(machines(spec), spec, rng, sliding=1)
    session.add(0)
    session.add(1)
    session.slide(0, 24, 5)
    session.forward({0: 20, 1: 12})
    for lengths in ({0: 10, 1: 3}, {0: 1, 1: 1}, {0: 1}, {0: 17}, {1: 30}, {0: 1}):
        session.forward(lengths)
    for _ in range(20):
        session.forward({1: 1, 0: 1})


@pytest.mark.parametrize("sink", [0, 5])
def test_a_token_sees_no_more_than_the_models_window(sink, machines, rng):
    spec = replace(SPEC, window=24, sink=sink)
    session = Session(machines(spec), spec, rng, sliding=1)
    for s in (0, 1):
        session.add(s)
        session.slide(s, 24, sink)
    session.forward({0: 20, 1: 12})
    for lengths in ({0: 10, 1: 3}, {0: 1, 1: 1}, {0: 1}, {0: 17}, {1: 24}, {0: 1}):
        session.forward(lengths)
    for _ in range(20):
        session.forward({1: 1, 0: 1})


@specs
def test_token_trees_are_scored_at_once_and_one_path_is_kept(spec, machines, rng):
    session = Session(machines(spec), spec, rng)
    for s in (0, 1):
        session.add(s)
    session.forward({0: 18, 1: 3})
    parents = {0: [-1, 0, 0, 1, 1, 2, 5], 1: [-1, 0, 1, 0]}
    session.forward({0: 7, 1: 4}, parents)
    session.commit({0: 6, 1: 3}, parents)
    session.forward({0: 1, 1: 1})
    session.forward({0: 4, 1: 2})
    again = {0: [-1, -1, 1], 1: [-1, 0, 0]}
    session.forward({0: 3, 1: 3}, again)
    session.commit({0: 2, 1: -1}, again)
    session.forward({1: 1, 0: 1})


def test_a_cache_may_leave_heads_as_they_are(machines, rng):
    spec = replace(SPEC, rotary_dim=0)
    session = Session(machines(spec), spec, rng)
    session.add(0)
    for tokens in (37, 1, 20):
        session.forward({0: tokens})


def test_what_was_appended_can_be_read_back(machines, rng):
    session = Session(machines(SPEC), SPEC, rng)
    session.add(0)
    session.forward({0: 21})
    k = tvm.runtime.tensor(np.zeros((LAYERS, 16, KV, D), "float32"))
    v = tvm.runtime.tensor(np.zeros((LAYERS, 16, KV, D), "float32"))
    session.call("attention_kv_cache_debug_get_kv", 0, 5, 21, k, v)
    tokens = session.sequences[0][5:]
    at = range(5, 21)
    for layer in range(LAYERS):
        keys = np.stack([token[0][layer] for token in tokens])
        expected = rotated(keys, at, session.frequencies)
        np.testing.assert_allclose(k.numpy()[layer], expected, atol=1e-5)
        values = np.stack([token[1][layer] for token in tokens])
        assert (v.numpy()[layer] == values).all()


def test_the_function_has_the_name_that_runtimes_look_for():
    mod = LowerKVCache(target_of("cpu"))(exported(SPEC))
    names = [var.name_hint for var in mod.get_global_vars()]
    assert CREATE_FUNCTION in names
    assert "create_paged_kv_cache" not in names
    assert mod[CREATE_FUNCTION].attrs["global_symbol"] == CREATE_FUNCTION
    assert "mlcx.create" not in mod.script()


def test_older_runtimes_get_the_five_sizes_they_take():
    mod = LowerKVCache(target_of("cpu"))(exported(SPEC))
    call = mod[CREATE_FUNCTION].body.blocks[0].bindings[-2].value
    assert call.args[0].global_symbol == "vm.builtin.paged_attention_kv_cache_create"
    assert len(call.args) - 1 == 28
    assert len(call.args[1].values) == 5


def test_a_module_without_a_cache_stays_as_it_is():
    class Double(nn.Module):
        def forward(self, x: nn.Tensor) -> nn.Tensor:
            return x + x

    mod, _ = Double().export_tvm({"forward": {"x": nn.spec.Tensor((2,), "float32")}})
    tvm.ir.assert_structural_equal(LowerKVCache(target_of("cpu"))(mod), mod)
