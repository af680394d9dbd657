"""How fast one layer's KV-cache kernels are on this CPU, beside TVM's own.

Recipe: ``python benchmarks/attention.py`` on a quiet machine; ``TVM_NUM_THREADS`` says
how many threads. The shape is TinyLlama's: 32 query heads, 4 key heads of 64, float16.
Both sides run in turns on the same data; a figure is the best of many runs. TVM's
prefill over pages reads beyond a buffer, so that ours stands alone there. Prints JSON,
then a table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import tirx
from tvm.relax.frontend.nn.llm import kv_cache as theirs

from mlcx.compiler.kernels.cpu.attention import (
    paged_decode,
    paged_prefill,
    ragged_prefill,
)
from mlcx.compiler.kernels.cpu.attention_plan import Heads
from mlcx.compiler.kernels.cpu.gated import gated
from mlcx.compiler.kernels.cpu.kv_pages import transpose_append
from mlcx.compiler.kernels.cpu.merge_state import merge_state
from mlcx.compiler.kernels.cpu.rms_norm import add_rms_norm
from mlcx.compiler.kernels.cpu.rope import split_rotary
from mlcx.compiler.kernels.rotation import Rotation, frequencies
from mlcx.compiler.targets import target_of

Q, KV, D, PAGE, DTYPE = 32, 4, 64, 16, "float16"
HIDDEN, INTERMEDIATE = 2048, 5632
TARGET = target_of("cpu")
HEADS = Heads(Q, KV, D, DTYPE, Rotation(frequencies(1e4, D, None)))
NORMAL, INLINE = (0, 1.0, 1e4, D**-0.5), (1, 1.0, 1e4, D**-0.5)
SECONDS = 0.5
"""Spent on each figure of each side."""
RNG = np.random.default_rng(0)
Run = Callable[[], None]


def compiled(kernel: tirx.PrimFunc) -> tuple[Callable[..., None], float]:
    """Return the function, and the seconds of CPU that compiling it took."""
    begin = time.process_time()
    name = str(kernel.attrs["global_symbol"])
    library = tvm.compile(tvm.IRModule({name: kernel}), target=TARGET)
    function = library[name]
    return function, time.process_time() - begin


def tensor(values: Any, dtype: str = "int32") -> tvm.runtime.Tensor:
    """Return a tensor of a list or an array."""
    return tvm.runtime.tensor(np.asarray(values, dtype))


def random(*shape: int) -> tvm.runtime.Tensor:
    """Return a tensor of normal numbers."""
    return tensor(RNG.standard_normal(shape), DTYPE)


def best(run: Run) -> float:
    """Return the least microseconds of a call."""
    least, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - begin)
    return least * 1e6


def pages(tokens: int) -> tuple[tvm.runtime.Tensor, ...]:
    """Return pages that hold one sequence, and its page table."""
    count = -(-tokens // PAGE)
    content = random(count + 1, 2, KV, PAGE, D)
    return content, tensor([0, count]), tensor(range(count))


def decode(tokens: int, sliding: bool) -> tuple[Any, ...]:
    """Return the arguments of decoding after some tokens, up to the results."""
    last = (tokens - 1) % PAGE + 1
    info = tensor([[last], [0], [0]]) if sliding else tensor([last])
    at = (info, tensor([0]), tensor([tokens]))
    return random(1, Q, D), *pages(tokens), *at, *results(1)


def results(tokens: int) -> tuple[tvm.runtime.Tensor, ...]:
    """Return an output and its logarithms."""
    return random(tokens, Q, D), tensor(np.zeros((tokens, Q)), "float32")


def ragged(tokens: int) -> tuple[Any, ...]:
    """Return the arguments of a causal prefill."""
    bounds = tensor([0, tokens])
    keys = (random(tokens, KV, D), random(tokens, KV, D))
    at = (tensor(range(tokens)), tensor([0]))
    return random(tokens, Q, D), bounds, *keys, bounds, *at, *results(tokens), 1


def paged(tokens: int, cached: int) -> tuple[Any, ...]:
    """Return the arguments of a prefill over cached tokens."""
    last = tensor([(cached - 1) % PAGE + 1])
    at = (last, tensor([0]), tensor(range(tokens)))
    queries = (random(tokens, Q, D), tensor([0, tokens]))
    return *queries, *pages(cached), *at, *results(tokens), 0


def fused(tokens: int) -> tuple[Any, ...]:
    """Return the arguments of splitting and rotating."""
    parts = [random(tokens, heads, D) for heads in (Q, KV, KV)]
    return random(tokens, Q + 2 * KV, D), tensor(range(tokens)), *parts, 1


def appended(tokens: int) -> tuple[Any, ...]:
    """Return the arguments of appending."""
    kv = (random(tokens, KV, D), random(tokens, KV, D))
    return pages(tokens)[0], *kv, tensor(range(tokens))


def merged(tokens: int) -> tuple[Any, ...]:
    """Return the arguments of merging two outputs."""
    return *results(tokens), *results(tokens)


def cases() -> list[tuple[str, tirx.PrimFunc, tirx.PrimFunc | None, list[Any]]]:
    """Return (name, our kernel, TVM's, [(size, arguments)])."""
    n = tirx.Var("n", "int64")
    norm = add_rms_norm(TARGET, (1, n), HIDDEN, DTYPE, 1e-5)
    gate = gated(TARGET, "silu", (1, n), INTERMEDIATE, DTYPE)
    rotary = split_rotary(TARGET, Q, KV, D, HEADS.rotation, DTYPE)
    their_rotary = theirs.llama_rope_with_position_map(1e4, 1.0, D, Q, KV, DTYPE, {}, D)
    rows = (1, 16, 128)

    def normed(t: int) -> tuple[Any, ...]:
        weight, (a, b, c, d) = random(HIDDEN), (random(1, t, HIDDEN) for _ in range(4))
        return a, b, weight, c, d

    def gate_up(t: int) -> tuple[Any, ...]:
        return random(1, t, 2 * INTERMEDIATE), random(1, t, INTERMEDIATE)

    return [
        (
            "decode",
            paged_decode(TARGET, HEADS),
            theirs._attention_decode_cpu(KV, Q, D, DTYPE, False, {}),
            [(t, (*decode(t, False), *NORMAL)) for t in (16, 128, 512, 2048)],
        ),
        (
            "decode sliding, rotating",
            paged_decode(TARGET, HEADS, sliding=True),
            None,
            [(t, (*decode(t, True), *INLINE)) for t in (128, 512)],
        ),
        (
            "prefill causal",
            ragged_prefill(TARGET, HEADS, tree=False),
            theirs._attention_prefill_ragged_cpu(KV, Q, D, D, DTYPE, {}),
            [(t, (*ragged(t), *NORMAL)) for t in (16, 128, 512)],
        ),
        (
            "prefill over cached 512",
            paged_prefill(TARGET, HEADS),
            None,
            [(t, (*paged(t, 512), *NORMAL)) for t in (16, 128)],
        ),
        ("rotary", rotary, their_rotary, [(t, fused(t)) for t in rows]),
        (
            "append",
            transpose_append(KV, D, DTYPE),
            theirs._kv_cache_transpose_append(KV, D, DTYPE),
            [(t, appended(t)) for t in rows],
        ),
        (
            "merge",
            merge_state(TARGET, Q, D, DTYPE),
            theirs._merge_state_inplace_cpu(DTYPE),
            [(t, merged(t)) for t in rows],
        ),
        ("add, rms_norm", norm, None, [(t, normed(t)) for t in rows]),
        ("swiglu", gate, None, [(t, gate_up(t)) for t in rows]),
    ]


def measure() -> list[dict[str, Any]]:
    """Run all cases."""
    table = []
    for name, our_kernel, their_kernel, sizes in cases():
        ours, seconds = compiled(our_kernel)
        other = compiled(their_kernel)[0] if their_kernel is not None else None
        for size, arguments in sizes:
            row = {"kernel": name, "tokens": size, "compile_s": round(seconds, 2)}
            row["us"] = round(best(lambda f=ours, a=arguments: f(*a)), 1)
            if other is not None:
                row["tvm_us"] = round(best(lambda f=other, a=arguments: f(*a)), 1)
                row["ratio"] = round(row["tvm_us"] / row["us"], 1)
            table.append(row)
    return table


def main() -> None:
    """Print the figures."""
    rows = measure()
    print(json.dumps(rows, indent=2))
    names = ["kernel", "tokens", "us", "tvm_us", "ratio", "compile_s"]
    print(
        "".join(
            f"{name:>26}" if not i else f"{name:>11}" for i, name in enumerate(names)
        )
    )
    for row in rows:
        cells = [str(row.get(name, "")) for name in names]
        print(f"{cells[0]:>26}" + "".join(f"{cell:>11}" for cell in cells[1:]))


if __name__ == "__main__":
    main()
