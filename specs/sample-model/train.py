"""Train the sample model on this machine's CPU and write it as a checkpoint.

    python specs/sample-model/train.py

The same seed, steps, threads, PyTorch and processor give the same weights. Ctrl-C stops
after the step at hand; the next run goes on from there as long as its state is kept.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from corpus import documents
from model import CONFIG, Llama, quantized
from safetensors.torch import save_file
from schedule import ALL, Step, plan
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.func import functional_call

__all__ = ["save", "train", "train_tokenizer"]

HERE = Path(__file__).resolve().parent
STATE = HERE.parents[1] / "build" / "sample-model.pt"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
"""Tokens 0, 1 and 2, in this order: ChatML stops at token 2."""
KEEP_EVERY = 200


def train_tokenizer(count: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer learned from ``count`` documents."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = ("".join(text for text, _ in doc) for doc in islice(documents(1), count))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def loss_of(model: Llama, tokens: Tensor, targets: Tensor, *, rounded: bool) -> Tensor:
    """Return the mean cross entropy in nats per learned token."""
    weights = {
        name: quantized(weight) if rounded else weight
        for name, weight in model.named_parameters()
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = functional_call(model, weights, (tokens[:, :-1],))
    return F.cross_entropy(logits.float().flatten(0, 1), targets[:, 1:].flatten())


def optimizer_for(model: Llama) -> torch.optim.AdamW:
    """Return AdamW that decays matrices and leaves the norms alone."""
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.dim() == 2], "weight_decay": 0.05},
        {"params": [w for w in weights if w.dim() != 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def save(folder: Path, model: Llama, tokenizer: Tokenizer) -> None:
    """Write the checkpoint: float16 weights, tokenizer and the JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    ids = {key: CONFIG[key] for key in CONFIG if key.endswith("_token_id")}
    names = {key[:-3]: SPECIAL[value] for key, value in ids.items()}
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONFIG["max_position_embeddings"],
    }
    for name, value in (
        ("config.json", CONFIG),
        ("generation_config.json", {"temperature": 0.7, "top_p": 0.95} | ids),
        ("tokenizer_config.json", about | names),
    ):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")


def keep(state: Path, step: int, model: Llama, optimizer: torch.optim.AdamW) -> None:
    """Write what the next run needs to go on after ``step`` steps."""
    state.parent.mkdir(parents=True, exist_ok=True)
    found = {"step": step, "model": model.state_dict()}
    torch.save(found | {"optimizer": optimizer.state_dict()}, f"{state}.new")
    Path(f"{state}.new").replace(state)


def resume(state: Path, model: Llama, optimizer: torch.optim.AdamW) -> int:
    """Load what ``keep`` wrote, if anything, and return the step to go on with."""
    if not state.exists():
        return 0
    found = torch.load(state, weights_only=True)
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    return int(found["step"])


def learn(model: Llama, optimizer: torch.optim.AdamW, step: Step) -> float:
    """Take one step and return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = step.rate
    loss = loss_of(model, step.tokens, step.targets, rounded=step.rounded)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def train(args: argparse.Namespace) -> bool:
    """Take all steps and save; return False if interrupted before that."""
    torch.manual_seed(args.seed)
    tokenizer = train_tokenizer(4000)
    model = Llama()
    optimizer = optimizer_for(model)
    first = resume(args.state, model, optimizer)
    stops: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stops.append(number))
    began = time.monotonic()
    for at, step in enumerate(
        islice(plan(tokenizer, args.seed), first, args.steps), first
    ):
        loss = learn(model, optimizer, step)
        if at % 20 == 0:
            pace = (time.monotonic() - began) / (at - first + 1)
            report(f"step {at} of {args.steps}: loss {loss:.4f} {pace:.2f} s/step")
        if stops or (at + 1) % KEEP_EVERY == 0:
            keep(args.state, at + 1, model, optimizer)
        if stops:
            report(f"stopped; the state is in {args.state}")
            return False
    save(args.output, model, tokenizer)
    args.state.unlink(missing_ok=True)
    return True


def report(line: str) -> None:
    """Write one line of progress."""
    sys.stderr.write(line + "\n")


def main() -> int:
    """Read the options and train; return 0 when the checkpoint is written."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=HERE, help="default: here")
    parser.add_argument("--state", type=Path, default=STATE, help="where to go on from")
    parser.add_argument("--steps", type=int, default=ALL, help=f"default: all {ALL}")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    return 0 if train(args) else 1


if __name__ == "__main__":
    sys.exit(main())
