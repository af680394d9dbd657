"""How long each architecture takes to compile, at the smallest model published.

Recipe: ``python benchmarks/architectures.py`` on a quiet machine of two cores; --only
NAME for one architecture, --runs N to compile each N times and keep the run of least
CPU time, --quantization Q for another scheme. No weights are needed. Prints a Markdown
table; the exit status is 1 when anything fails or is over the budget. That is of CPU
seconds, which on a quiet machine are as many as wall seconds or more, and hardly depend
on what else a busy one does.
"""

from __future__ import annotations

import argparse
import operator
import subprocess

from compiling import Taken, compile_apart

from mlcx.architectures import ARCHITECTURES

SMALLEST = {
    "codegen": "codegen_350m",
    "cohere": "aya-23",
    "gemma": "gemma_2b",
    "gemma2": "gemma2_2b",
    "gemma3": "gemma3_4b_it",
    "gemma3_text": "gemma3_270m",
    "gpt2": "gpt2",
    "gpt_neox": "pythia_70m",
    "gptj": "gpt_j",
    "internlm2": "internlm2_1_8b",
    "llama": "smollm_135m",
    "mistral": "mistral_7b",
    "mixformer-sequential": "phi-1_5-mixformer",
    "mixtral": "Mixtral-8x7B-v0.1",
    "moss": "moss_moon_003",
    "olmo2": "olmo2_1b",
    "phi": "phi-1",
    "phi-msft": "phi-1_5",
    "phi3": "phi-3_5",
    "qwen2": "qwen2_0_5b",
    "qwen2_moe": "qwen2moe",
    "qwen3": "qwen3_0.6b",
    "qwen3_moe": "qwen3_30b_a3b",
    "rwkv5": "rwkv5_3b",
    "rwkv6": "rwkv6_1_6b",
    "stablelm": "stablelm-2-zephyr-1_6b",
    "starcoder2": "starcoder2_3b",
}
"""Architecture to the preset of its smallest model."""

MOST_SECONDS, MOST_MIB = 90, 6 * 1024
"""The budget of one compile on two cores: CPU time and memory."""

HEAD = """\
| architecture | preset | wall s | CPU s | peak MiB | library bytes |
|---|---|---:|---:|---:|---:|"""


def measure(preset: str, quantization: str, runs: int) -> Taken | None:
    """Return the run of ``runs`` that took least CPU time; None: one failed."""
    try:
        taken = [compile_apart(preset, quantization) for _ in range(runs)]
    except subprocess.CalledProcessError:
        return None
    return min(taken, key=operator.attrgetter("cpu_s"))


def fits(taken: Taken | None) -> bool:
    """Say whether a compile was done within the budget."""
    if taken is None:
        return False
    return taken.cpu_s <= MOST_SECONDS and taken.peak_mib <= MOST_MIB


def main() -> None:
    """Compile the architectures asked for and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(SMALLEST), action="append")
    parser.add_argument("--quantization", default="q4f16_1")
    parser.add_argument("--runs", type=int, default=1)
    args = parser.parse_args()
    if unknown := set(ARCHITECTURES) - set(SMALLEST):
        raise SystemExit(f"no preset is named for {', '.join(sorted(unknown))}")
    bad = []
    print(HEAD)
    for name in args.only or SMALLEST:
        preset = SMALLEST[name]
        taken = measure(preset, args.quantization, args.runs)
        cells = " | ".join(map(str, taken or ["failed"]))
        print(f"| `{name}` | `{preset}` | {cells} |", flush=True)
        bad += [] if fits(taken) else [name]
    if bad:
        limits = f"{MOST_SECONDS} CPU s and {MOST_MIB} MiB"
        raise SystemExit(f"not compiled within {limits}: {', '.join(bad)}")


if __name__ == "__main__":
    main()
