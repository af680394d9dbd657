"""Stands in for ``python -m mlcx``: the same verbs and files, without the work.

The folder in ``STAND_IN`` steers it. ``calls`` gets a line for each run; a line of
``fail``, ``hang``, ``slow`` or ``held``, as long as it is there, names an output by a
part of its path, one of ``bad`` the figures of a library that quantizing has spoilt.
The verbs that are quick are the real ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

CONTROL = Path(os.environ["STAND_IN"])
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json")


def main() -> int:
    verb = sys.argv[1]
    parser = argparse.ArgumentParser()
    parser.add_argument("verb")
    parser.add_argument("model", type=Path)
    parser.add_argument("others", type=Path, nargs="*")
    parser.add_argument("--library", action="append", type=Path)
    parser.add_argument("--model-lib", action="append", type=Path, default=[])
    parser.add_argument("-o", "--output", type=Path, required=True)
    for name in ("quantization", "conv-template", "overrides", "device", "opt"):
        parser.add_argument(f"--{name}")
    for name in ("host", "mcpu", "system-lib-prefix", "float32", "tokens"):
        parser.add_argument(f"--{name}")
    for name in ("max-kl", "min-top1"):
        parser.add_argument(f"--{name}")
    for name in ("script", "work", "app-config", "arch", "deployment-target"):
        parser.add_argument(f"--{name}")
    for name in ("reference", "text", "lock", "part"):
        parser.add_argument(f"--{name}", type=Path)
    args = parser.parse_args()
    with (CONTROL / "calls").open("a") as file:
        file.write(f"{verb} {args.output}\n")
    real = {
        "bundle",
        "app_config",
        "prebuilt",
        "judge-quality",
        "prepare_libs",
        "fetch",
    }
    if verb in real:
        os.execv(sys.executable, [sys.executable, "-m", "mlcx", *sys.argv[1:]])
    say(f"working on {args.output}")
    while listed("held", args.output):
        time.sleep(0.02)
    if listed("slow", args.output):
        time.sleep(1)
    if listed("fail", args.output):
        say("\n".join(f"line {number}" for number in range(100)))
        say("the reason of the failure")
        return 1
    VERBS[verb](args)
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def listed(name: str, output: Path) -> bool:
    path = CONTROL / name
    return path.exists() and any(
        line in str(output) for line in path.read_text().splitlines()
    )


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.abcd1234")
    temporary.write_bytes(data[: len(data) // 2])
    if listed("fail", path):
        sys.exit(1)
    if listed("hang", path):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        told = CONTROL / f"hanging.{os.getpid()}"
        told.write_text(str(os.getpid()))
        told.replace(CONTROL / "hanging")
        time.sleep(600)
    temporary.write_bytes(data)
    temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    write(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def gen_config(args: argparse.Namespace) -> None:
    config = json.loads((args.model / "config.json").read_text())
    sampling = json.loads((args.model / "generation_config.json").read_text())
    present = [name for name in TOKENIZERS if (args.model / name).exists()]
    for name in present:
        write(args.output / name, (args.model / name).read_bytes())
    chat = {"quantization": args.quantization, "model_config": config, **sampling}
    chat["tokenizer_files"] = present
    write_json(args.output / "mlc-chat-config.json", chat)


def convert_weight(args: argparse.Namespace) -> None:
    weights = (args.model / "model.safetensors").read_bytes()
    half = len(weights) // 2
    records = []
    for number, data in enumerate((weights[:half], weights[half:])):
        name = f"params_shard_{number}.bin"
        write(args.output / name, data)
        digest = hashlib.md5(data).hexdigest()
        records.append({"dataPath": name, "nbytes": len(data), "md5sum": digest})
    write_json(args.output / "tensor-cache-b16.json", {"records": []})
    write_json(args.output / "tensor-cache.json", {"records": records})


def normalize(args: argparse.Namespace) -> None:
    chat = json.loads(args.model.read_text())
    config = dict(chat.get("model_config", chat))
    config["overrides"] = args.overrides
    scheme = args.quantization or chat.get("quantization")
    if scheme and scheme.startswith("{"):
        config["recipe"] = list(json.loads(scheme)["layers"].items())
    write_json(args.output, config)


def compile_(args: argparse.Namespace) -> None:
    options = [args.device, args.opt, args.host, args.mcpu, args.system_lib_prefix]
    content = args.model.read_text() + json.dumps(options)
    write(args.output, content.encode() * 100 + described())


def described() -> bytes:
    """What a library says of itself, as TVM stores it."""
    limits = {"context_window_size": 64, "prefill_chunk_size": 32}
    sizes = dict.fromkeys(("num_hidden_layers", "num_key_value_heads"), 2)
    says = {"model_type": "llama", "quantization": "q4f16_1", **limits}
    says["kv_cache"] = {**sizes, "head_dim": 8}
    says["params"] = [{"name": "w", "shape": [3, 5], "dtype": "float16"}]
    says["memory_usage"] = {"prefill": 2000, "decode": 500}
    text = json.dumps(says).encode()
    return len(text).to_bytes(8, "little") + text


def static_lib(args: argparse.Namespace) -> None:
    names = "".join(f"{name}\n" for name in args.model_lib)
    libraries = (path.read_bytes() for path in (args.model, *args.others))
    write(args.output, names.encode() + b"".join(libraries))


def reference_logits(args: argparse.Namespace) -> None:
    text = args.text.read_text() if args.text else "mlcx's own"
    weights = (args.model / "tensor-cache.json").read_bytes()
    write(args.output.with_suffix(".npy"), weights + args.model_lib[0].read_bytes())
    write_json(args.output, {"text": text, "tokens": args.tokens})


def measure_quality(args: argparse.Namespace) -> None:
    bad = listed("bad", args.output)
    names = ("model_type", "quantization", "device", "text")
    content = {
        "kind": "mlcx-quality",
        "library": args.model_lib[0].name,
        "quantization": "q4f16_1",
        "device": args.device,
        "window": 256,
        "reference": dict.fromkeys(names, args.reference.read_text()[:3]),
        "figures": {
            "tokens": 512,
            "mean_kl": 0.5 if bad else 0.01,
            "max_kl": 1.0,
            "top1": 0.75 if bad else 0.99,
            "max_difference": 2.0,
            "scored": 510,
            "cross_entropy": 1.0,
            "reference_cross_entropy": 1.0,
        },
    }
    write_json(args.output, content)


VERBS = {
    "gen_config": gen_config,
    "convert_weight": convert_weight,
    "normalize": normalize,
    "compile": compile_,
    "static_lib": static_lib,
    "reference-logits": reference_logits,
    "measure-quality": measure_quality,
}

if __name__ == "__main__":
    sys.exit(main())
