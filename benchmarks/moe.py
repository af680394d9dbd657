"""How fast experts run, next to a dense model that does as much work for a token.

Recipe: ``python benchmarks/moe.py`` on a quiet machine. Compiles a Mixtral of 8 experts
of which each token takes 2, and a Llama with feed-forward layers as wide as these 2
together, at q4f16_1, with random weights (0.9 and 0.3 GB, kept in --work for the next
run). Then both take turns, each in a process of its own: a prompt is prefilled, and
tokens are decoded after it. What counts is the least time of all turns, of the prompt
and of each token. Prints JSON, then a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from decode import SPEEDS, Best
from decode_mlcx import LIBRARY
from random_models import write_weights

from mlcx.runtime.device import open_library

HERE = Path(__file__).parent
EXPERT, CHOSEN = 2816, 2
COMMON = {
    "hidden_size": 2048,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "num_hidden_layers": 12,
    "vocab_size": 8000,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}
MODELS: dict[str, dict[str, Any]] = {
    "experts": {
        "model_type": "mixtral",
        "intermediate_size": EXPERT,
        "num_local_experts": 8,
        "num_experts_per_tok": CHOSEN,
    },
    "dense": {"model_type": "llama", "intermediate_size": CHOSEN * EXPERT},
}


def prepare(work: Path, model: dict[str, Any]) -> None:
    """Compile the library and make its weights, unless they are there."""
    work.mkdir(parents=True, exist_ok=True)
    config = work / "config.json"
    config.write_text(json.dumps({**COMMON, **model}))
    command = [sys.executable, "-m", "mlcx", "compile", str(config)]
    command += ["--quantization", "q4f16_1", "--device", "cpu"]
    subprocess.run([*command, "-o", str(work / LIBRARY)], check=True)
    if (work / "tensor-cache.json").exists():
        return
    sizes = {"vocab_size": COMMON["vocab_size"]}
    write_weights(
        work,
        {
            one.name: (tuple(int(sizes.get(n, n)) for n in one.shape), one.dtype)
            for one in open_library(work / LIBRARY, "cpu").metadata.parameters
        },
    )
    _spread(work)


def _spread(work: Path) -> None:
    """Replace the routers by noise, so that tokens choose various experts."""
    random = np.random.default_rng(2)
    for shard in json.loads((work / "tensor-cache.json").read_text())["records"]:
        (record,) = shard["records"]
        if record["name"].endswith("gate.weight"):
            noise = random.standard_normal(record["shape"]).astype(np.float16)
            noise.tofile(work / shard["dataPath"])


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Let both models take turns and return the best of each."""
    best = {name: Best() for name in MODELS}
    environment = {**os.environ, "TVM_NUM_THREADS": str(args.threads)}
    script = [sys.executable, str(HERE / "decode_mlcx.py")]
    for _ in range(args.rounds):
        for name, side in best.items():
            words = [*script, str(args.work / name), "run"]
            words += [str(args.prompt), str(args.tokens)]
            answer = subprocess.run(
                words, env=environment, check=True, stdout=subprocess.PIPE
            ).stdout
            side.take(json.loads(answer))
    speeds = {name: side.speeds(args.prompt) for name, side in best.items()}
    ratio = {s: round(speeds["experts"][s] / speeds["dense"][s], 3) for s in SPEEDS}
    sizes = {"threads": args.threads, "prompt": args.prompt, "tokens": args.tokens}
    return {**sizes, **speeds, "ratio": ratio}


def main() -> None:
    """Prepare what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=128, help="tokens to prefill")
    parser.add_argument("--tokens", type=int, default=32, help="tokens to decode")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each model")
    work = Path(tempfile.gettempdir()) / "mlcx-moe"
    parser.add_argument("--work", type=Path, default=work, help="folder for the models")
    args = parser.parse_args()
    for name, model in MODELS.items():
        prepare(args.work / name, model)
    result = compare(args)
    print(json.dumps(result, indent=2))
    print(f"{'tokens/s':>10}  {'prefill':>8}  {'decode':>8}")
    for name in (*MODELS, "ratio"):
        row = result[name]
        print(f"{name:>10}  {row['prefill']:>8}  {row['decode']:>8}")


if __name__ == "__main__":
    main()
