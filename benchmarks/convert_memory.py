"""How much memory a conversion takes, whatever the size of the checkpoint.

Recipe: ``python benchmarks/convert_memory.py``; it takes 13 GB of disk space for a
while. Makes a sparse checkpoint of Llama 3 8B's shape with 19 of its layers (10.4 GB of
float16, the largest tensor 1.05 GB), has ``mlcx convert_weight`` convert it, and reads
off the most memory that the whole process had: Python and TVM included, the system's
cache of files not, as nothing is mapped. ``--layers 1`` shows what does not depend on
the size. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checkpoints import write_checkpoint

SHAPE = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
"""Llama 3 8B, less its 32 layers."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quantization", default="q4f16_1")
    parser.add_argument("--layers", type=int, default=19)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shape = {**SHAPE, "num_hidden_layers": args.layers}
        source = write_checkpoint(Path(name), shape, "float16", sparse=True)
        command = [sys.executable, "-m", "mlcx", "convert_weight", name]
        command += ["--quantization", args.quantization, "-o", f"{name}/out"]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
        shards = [path.stat().st_size for path in Path(name, "out").glob("*.bin")]
        read_bytes = source.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    result = {
        "quantization": args.quantization,
        "read_bytes": read_bytes,
        "written_bytes": sum(shards),
        "largest_shard_bytes": max(shards),
        "seconds": seconds,
        "peak_bytes": peak,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
