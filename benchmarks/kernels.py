"""How fast the CPU's matmul kernels run, next to what memory gives.

Recipe: ``python benchmarks/kernels.py`` on a quiet machine; ``--format f16`` for
another weight format, ``--rows 1,128`` and ``--shapes 2048x2048`` for less. The kernels
are those of a compiled model, built for this machine. Each call takes the next of many
copies of the weight, so that none comes from a cache; the least time of all calls
counts. Memory is read between rounds, by as many threads. Prints JSON, then a table.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcx.quant.plain import dtype_named

if TYPE_CHECKING:
    from tvm.runtime import Tensor

    from mlcx.compiler.kernels.cpu.weights import WeightFormat

TINYLLAMA = "2560x2048,2048x2048,11264x2048,2048x5632,32000x2048"
ROUNDS, SECONDS = 7, 0.15
PIECE = 128 << 20
GROUPS = {
    "q8": (8, 32),
    "q4": (4, 32),
    "q4_kn": (4, 32),
    "q3": (3, 40),
    "q3_kn": (3, 40),
}
"""Group-quantized formats: bits and size of a group; with float16 scales."""
FLOAT8 = {
    "e4m3": ("float8_e4m3fn", True),
    "e4m3_blocks": ("float8_e4m3fn", True, 128, 128),
    "e5m2": ("float8_e5m2",),
}
"""Formats of 8-bit floats: type, whether scaled, rows and columns of a block."""
PLAIN = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}


class Memory:
    """What reading memory gives: the most of all times that it was asked."""

    def __init__(self, threads: int) -> None:
        self._pieces = [ctypes.create_string_buffer(PIECE) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads)
        self._search = ctypes.CDLL(None).memchr
        self._search.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        self.most = 0.0

    def measure(self) -> None:
        """Let the C library look for a byte that is not there."""
        begin = time.perf_counter()
        list(self._pool.map(lambda piece: self._search(piece, 1, PIECE), self._pieces))
        read = len(self._pieces) * PIECE
        self.most = max(self.most, read / (time.perf_counter() - begin) / 1e9)


def random_weight(name: str, n: int, k: int) -> list[np.ndarray]:
    """Return the arrays of one weight: zeros would be read as fast, and look odd."""
    rng = np.random.default_rng(0)
    return [
        random_array(rng, shape, dtype_named(dtype))
        for shape, dtype in format_of(name).arrays(n, k).values()
    ]


def random_array(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> np.ndarray:
    """Return words of any codes, or numbers."""
    if dtype == np.uint32:
        return rng.integers(0, 2**32, shape, dtype="uint32")
    return rng.random(shape, dtype="float32").astype(dtype)


def format_of(name: str) -> WeightFormat:
    """Return how the kernel's weights lie in memory."""
    from mlcx.compiler.kernels.cpu import weights  # noqa: PLC0415 - as above
    from mlcx.quant.awq import SHIFTS  # noqa: PLC0415

    if name in GROUPS:
        size = GROUPS[name]
        return weights.GroupQuantized(*size, "float16", name.endswith("_kn"))
    if name in FLOAT8:
        return weights.Float8(*FLOAT8[name])
    if name == "awq":
        return weights.WordsOfColumns(SHIFTS, 128, "float16")
    return weights.Plain(PLAIN[name])


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of the activations that go with a format."""
    return dtype_named(PLAIN.get(name, "float16"))


def build(name: str, n: int, k: int) -> Callable[..., object]:
    """Return the kernel for any number of rows."""
    import tvm  # noqa: PLC0415 - after the number of threads was set

    from mlcx.compiler.kernels.cpu.matmul import matmul  # noqa: PLC0415
    from mlcx.compiler.passes.cpu_bfloat16 import LowerBfloat16  # noqa: PLC0415
    from mlcx.compiler.targets import target_of  # noqa: PLC0415

    dtype = str(dtype_of(name))
    target = target_of("cpu")
    kernel = matmul(target, format_of(name), ("rows",), n, k, dtype, dtype)
    named = {"matmul": kernel.with_attr("global_symbol", "matmul")}
    module = LowerBfloat16()(tvm.IRModule(named))
    function: Callable[..., object] = tvm.compile(module, target=target)["matmul"]
    return function


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return one row of results for each shape and number of rows."""
    memory = Memory(args.threads)
    results = [
        row
        for shape in args.shapes.split(",")
        for row in measure_shape(args, *map(int, shape.split("x")), memory)
    ]
    return {
        "format": args.format,
        "threads": args.threads,
        "memory_gb_s": round(memory.most, 1),
        "results": results,
    }


def measure_shape(
    args: argparse.Namespace, n: int, k: int, memory: Memory
) -> list[dict[str, Any]]:
    """Build one kernel and time it with every number of rows."""
    import tvm  # noqa: PLC0415

    begin = time.process_time()
    kernel = build(args.format, n, k)
    built = time.process_time() - begin
    arrays = random_weight(args.format, n, k)
    size = sum(array.nbytes for array in arrays)
    copies = max(2, args.megabytes * 1_000_000 // size)
    weights = [[tvm.runtime.tensor(a) for a in arrays] for _ in range(copies)]
    rows = []
    for count in map(int, args.rows.split(",")):
        dtype = dtype_of(args.format)
        x = tvm.runtime.tensor(np.ones((count, k), dtype))
        out = tvm.runtime.tensor(np.empty((count, n), dtype))
        least = timed(kernel, x, weights, out, memory)
        rows.append(
            {
                "n": n,
                "k": k,
                "rows": count,
                "build_s": round(built, 2),
                "us": round(least * 1e6, 1),
                "gb_s": round(size / least / 1e9, 2),
                "gflop_s": round(2 * count * n * k / least / 1e9, 1),
            }
        )
    return rows


def timed(
    kernel: Callable[..., object],
    x: Tensor,
    weights: list[list[Tensor]],
    out: Tensor,
    memory: Memory,
) -> float:
    """Return the least time of a call, in seconds."""
    turns = cycle(weights)
    kernel(x, *next(turns), out)
    begin = time.perf_counter()
    kernel(x, *next(turns), out)
    calls = max(1, int(SECONDS / (time.perf_counter() - begin)))
    least = float("inf")
    for _ in range(ROUNDS):
        memory.measure()
        for _ in range(calls):
            weight = next(turns)
            begin = time.perf_counter()
            kernel(x, *weight, out)
            least = min(least, time.perf_counter() - begin)
    return least


def print_table(result: dict[str, Any]) -> None:
    """Print a line for each row of results."""
    memory = result["memory_gb_s"]
    head = ("N", "K", "rows", "us", "GB/s", "of memory", "GFLOP/s")
    print(f"{result['format']}, {result['threads']} threads, memory {memory} GB/s")
    print(("{:>10}" * len(head)).format(*head))
    for row in result["results"]:
        share = f"{row['gb_s'] / memory:.0%}"
        cells = (row["n"], row["k"], row["rows"], row["us"], row["gb_s"], share)
        print(("{:>10}" * len(head)).format(*cells, row["gflop_s"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--format", choices=(*GROUPS, *FLOAT8, "awq", *PLAIN), default="q4"
    )
    parser.add_argument("--shapes", default=TINYLLAMA, help="NxK,NxK,…")
    parser.add_argument("--rows", default="1,2,4,8,16,128", help="rows of activations")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--megabytes", type=int, default=200, help="of copies")
    args = parser.parse_args()
    os.environ["TVM_NUM_THREADS"] = str(args.threads)
    result = measure(args)
    print(json.dumps(result, indent=1))
    print_table(result)


if __name__ == "__main__":
    main()
