"""How fast a built model runs, next to llama.cpp and to the memory's bandwidth.

Recipe: ``pip install -e '.[benchmark]'``, then ``python benchmarks/decode.py`` on a
quiet machine. Compiles the shape of TinyLlama 1.1B at q4f16_1 and makes random weights
in both formats (1.3 GB in all, kept in --work for the next run). Then both take turns,
each time in a process of its own: a prompt is prefilled, and tokens are decoded after
it. What counts is the least time of all turns, of the prompt and of each token. The
share of the bandwidth is that of the weights which a decoded token reads. Prints JSON,
then a table.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from turns import seconds

HERE = Path(__file__).parent
SPEEDS = ("prefill", "decode")


def bandwidth(threads: int, mebibytes: int = 256) -> float:
    """Return GB/s of reading memory in ``threads`` pieces, with the C library."""
    find = ctypes.CDLL(None).memchr
    find.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    size = mebibytes << 20
    pieces = [ctypes.create_string_buffer(size) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def read() -> None:
            list(pool.map(lambda piece: find(ctypes.addressof(piece), 1, size), pieces))

        return threads * size / min(seconds(read) for _ in range(7)) / 1e9


def call(python: str, side: str, args: argparse.Namespace, *action: object) -> str:
    """Run one side in a process of its own and return what it prints."""
    command = [python, str(HERE / f"decode_{side}.py"), str(args.work)]
    environment = {**os.environ, "TVM_NUM_THREADS": str(args.threads)}
    words = [*command, *map(str, action)]
    return subprocess.run(
        words, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


class Best:
    """The least seconds of one side, over all its turns."""

    def __init__(self) -> None:
        self._prefill = float("inf")
        self._decode: list[float] = []

    def take(self, turn: dict[str, Any]) -> None:
        """Count one more turn in."""
        self._prefill = min(self._prefill, turn["prefill"])
        before = self._decode or turn["decode"]
        self._decode = [min(pair) for pair in zip(before, turn["decode"], strict=True)]

    def speeds(self, prompt: int) -> dict[str, float]:
        """Return tokens per second."""
        decode = len(self._decode) / sum(self._decode)
        return {"prefill": round(prompt / self._prefill, 2), "decode": round(decode, 2)}


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Let both sides take turns and return the best of each."""
    mlcx, llama = Best(), Best()
    memory, read = 0.0, 0
    for _ in range(args.rounds):
        memory = max(memory, bandwidth(args.threads))
        turn = json.loads(call(sys.executable, "mlcx", args, "run", *_sizes(args)))
        mlcx.take(turn)
        read = turn["bytes"]
        work = ("run", *_sizes(args), args.threads)
        llama.take(json.loads(call(args.llama_python, "llama", args, *work)))
    ours, theirs = mlcx.speeds(args.prompt), llama.speeds(args.prompt)
    return {
        "threads": args.threads,
        "prompt": args.prompt,
        "tokens": args.tokens,
        "mlcx": ours,
        "llama.cpp": theirs,
        "ratio": {name: round(ours[name] / theirs[name], 3) for name in SPEEDS},
        "bandwidth_gb_s": round(memory, 2),
        "bandwidth_share": round(ours["decode"] * read / memory / 1e9, 3),
    }


def _sizes(args: argparse.Namespace) -> tuple[int, int]:
    return args.prompt, args.tokens


def print_table(result: dict[str, Any]) -> None:
    """Print one line for each side."""
    print(f"{'tokens/s':>10}  {'prefill':>8}  {'decode':>8}")
    for name in ("mlcx", "llama.cpp", "ratio"):
        row = result[name]
        print(f"{name:>10}  {row['prefill']:>8}  {row['decode']:>8}")
    share, memory = result["bandwidth_share"], result["bandwidth_gb_s"]
    print(f"decoding reads {share:.0%} of the {memory} GB/s that memory gives")


def main() -> None:
    """Prepare what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=128, help="tokens to prefill")
    parser.add_argument("--tokens", type=int, default=64, help="tokens to decode")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    work = Path(tempfile.gettempdir()) / "mlcx-decode"
    parser.add_argument("--work", type=Path, default=work, help="folder for the models")
    parser.add_argument(
        "--llama-python",
        default=sys.executable,
        metavar="FILE",
        help="a Python that has llama-cpp-python and gguf",
    )
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    call(sys.executable, "mlcx", args, "prepare")
    call(args.llama_python, "llama", args, "prepare")
    result = compare(args)
    print(json.dumps(result, indent=2))
    print_table(result)


if __name__ == "__main__":
    main()
