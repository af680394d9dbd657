"""How fast weights are converted, next to reading and writing as many bytes.

Recipe: ``python benchmarks/convert.py`` on a quiet machine; ``--quantization q0f16``,
``--dtype bfloat16`` and ``--layers 10`` for other cases. Makes a checkpoint of random
weights, by default 21 layers of TinyLlama's shape (2.1 GB), and lets three processes
take turns, for q4f16_1 and then for q3f16_1: one converts it; one (plain) reads it once
in pieces of 1 MiB and writes as many bytes as the result has, and computes nothing; one
(copy) copies it in such pieces.
All find the checkpoint on the disk and not in memory, as one larger than memory is.
With ``--cached`` it is in memory, where plain I/O costs less than the md5 of the
result, which the format asks for. The best of several turns counts, and the ratios of
each round of turns are given. Prints JSON, then a table, of each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from checkpoints import DTYPES, write_checkpoint

from mlcx.architectures import architecture
from mlcx.quant.apply import parameters
from mlcx.quant.compiled import compiled
from mlcx.quant.scheme import scheme
from mlcx.weights.convert import convert
from mlcx.weights.mapping import Parameter

SHAPE = {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
}
"""TinyLlama 1.1B, less its 22 layers."""

PIECE = 1 << 20
TURNS = ("mlcx", "plain", "copy")


def evict(path: Path) -> None:
    """Drop a file from memory that is on disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path: Path) -> None:
    """Read a file once."""
    piece = bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        while file.readinto(piece):
            pass


def plain(source: Path, sizes: list[int], output: Path) -> None:
    """Read ``source`` once, and write files of ``sizes`` bytes once."""
    read(source)
    piece = bytes(PIECE)
    output.mkdir()
    for number, size in enumerate(sizes):
        with (output / str(number)).open("wb", buffering=0) as file:
            for start in range(0, size, PIECE):
                file.write(piece[: size - start])


def copy(source: Path, output: Path) -> None:
    """Write all of ``source`` once as it is read."""
    piece = bytearray(PIECE)
    output.mkdir()
    with (
        source.open("rb", buffering=0) as file,
        (output / source.name).open("wb", buffering=0) as other,
    ):
        while count := file.readinto(piece):
            other.write(memoryview(piece)[:count])


class Silent:
    """Listens to a conversion and says nothing."""

    def begin(self, nbytes: int, done: int) -> None:
        """Hear what there is to do."""

    def advance(self, nbytes: int) -> None:
        """Hear what is done."""

    def warn(self, message: str) -> None:
        """Take a warning for an error: the checkpoint is the model's."""
        raise ValueError(message)


def mlcx(source: Path, quantization: str, output: Path) -> float:
    """Convert ``source``; return the seconds, without those of importing."""
    module = architecture("llama")
    content = json.loads((source.parent / "config.json").read_text())
    chosen = scheme(quantization)
    config = module.Config.from_hf(content)
    wanted = [
        Parameter(each.name, each.shape, each.dtype, compiled(each.packing))
        for each in parameters(module, config, chosen)
    ]
    recipes, unused = module.weights(config), module.UNUSED
    begin = time.perf_counter()
    convert(wanted, recipes, unused, source, output, Silent())
    return time.perf_counter() - begin


def turn(what: str, *arguments: object) -> dict[str, float]:
    """Do one turn in a process of its own and return what it measured."""
    command = [sys.executable, __file__, "--turn", what, *map(str, arguments)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(process.stdout)
    return result


def memory_mib(key: str) -> float:
    """Return what Linux says about this process' memory, now or at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def run_turn(what: str, source: Path, output: Path, detail: str) -> None:
    """Do one turn here and print what it took."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
    cpu, memory = time.process_time(), memory_mib("VmRSS")
    if what == "mlcx":
        seconds = mlcx(source, detail, output)
    else:
        begin = time.perf_counter()
        if what == "copy":
            copy(source, output)
        else:
            plain(source, json.loads(detail), output)
        seconds = time.perf_counter() - begin
    result = {"seconds": seconds, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps(result | {"memory_mib": memory_mib("VmHWM") - memory}))


def measure(
    args: argparse.Namespace, source: Path, quantization: str
) -> dict[str, Any]:
    """Let all take turns and return the best of each."""
    output = source.parent / "out"
    best: dict[str, dict[str, float]] = {}
    sizes: list[int] = []
    rounds: list[dict[str, float]] = []
    for number in range(args.runs + 1):
        rounds.append({})
        for what in TURNS:
            if args.cached:
                read(source)
            else:
                evict(source)
            detail = json.dumps(sizes) if what == "plain" else quantization
            result = turn(what, source, output, detail)
            sizes = sizes or [path.stat().st_size for path in output.glob("*.bin")]
            shutil.rmtree(output)
            rounds[-1][what] = result["seconds"]
            known = best.get(what)
            # The first round finds memory that the system has not handed out before.
            if number and (known is None or result["seconds"] < known["seconds"]):
                best[what] = result
    return {
        "quantization": quantization,
        "dtype": args.dtype,
        "cached": args.cached,
        "read_bytes": source.stat().st_size,
        "written_bytes": sum(sizes),
        **best,
        "ratios": {
            what: sorted(each[what] / each["mlcx"] for each in rounds[1:])
            for what in TURNS[1:]
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quantization", action="append")
    parser.add_argument("--dtype", default="float16", choices=DTYPES)
    parser.add_argument("--layers", type=int, default=21)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--turn", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.turn:
        what, source, output, detail = args.turn
        run_turn(what, Path(source), Path(output), detail)
        return
    with tempfile.TemporaryDirectory() as name:
        shape = {**SHAPE, "num_hidden_layers": args.layers}
        source = write_checkpoint(Path(name), shape, args.dtype)
        for quantization in args.quantization or ("q4f16_1", "q3f16_1"):
            show(measure(args, source, quantization))


def show(result: dict[str, Any]) -> None:
    """Print what was measured with one quantization."""
    print(json.dumps(result, indent=2))
    print(f"\n{'':8}{'seconds':>9}{'CPU s':>8}{'read MB/s':>11}{'MiB more':>10}")
    for what in TURNS:
        row = result[what]
        speed = result["read_bytes"] / row["seconds"] / 1e6
        numbers = f"{row['seconds']:9.2f}{row['cpu_seconds']:8.2f}{speed:11.0f}"
        print(f"{what:8}{numbers}{row['memory_mib']:10.0f}")
    for what in TURNS[1:]:
        speed = result[what]["seconds"] / result["mlcx"]["seconds"]
        ratios = " ".join(f"{ratio:.2f}" for ratio in result["ratios"][what])
        print(f"mlcx has {speed:.2f} of the speed of {what}; by round: {ratios}")


if __name__ == "__main__":
    main()
