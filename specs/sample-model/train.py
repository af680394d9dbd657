"""Train the sample model on this machine's CPU and write it as a checkpoint.

    python specs/sample-model/train.py --threads 2

Same seed, thread count, PyTorch and processor give the same weights. Ctrl-C stops after
the step at hand; the next run with the same ``--state`` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from corpus import Document, documents
from model import CONFIG, Llama, quantized
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.func import functional_call

__all__: list[str] = []

HERE = Path(__file__).resolve().parent
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LENGTH = CONFIG["max_position_embeddings"]
ROWS = 8
WARM_UP = 100
PEAK_RATE = 3e-3
ROUNDED_FROM = 0.6
"""Share of the training after which every other step sees weights of 4 bits."""


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


def encode(tokenizer: Tokenizer, document: Document) -> tuple[list[int], list[int]]:
    """Return the tokens and, for each, the target: itself, or -100 where not learned."""
    tokens: list[int] = []
    targets: list[int] = []
    for text, learned in document:
        ids = tokenizer.encode(text).ids
        tokens += ids
        targets += ids if learned else [-100] * len(ids)
    return tokens, targets


class Batches:
    """Endless batches of whole documents, packed into rows of LENGTH tokens."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer = tokenizer
        self.stream = documents(seed)
        self.waiting = encode(tokenizer, next(self.stream))

    def __next__(self) -> tuple[Tensor, Tensor]:
        rows = [self._row() for _ in range(ROWS)]
        tokens, targets = zip(*rows, strict=True)
        return torch.tensor(tokens), torch.tensor(targets)

    def _row(self) -> tuple[list[int], list[int]]:
        tokens: list[int] = []
        targets: list[int] = []
        while len(tokens) + len(self.waiting[0]) <= LENGTH + 1:
            tokens += self.waiting[0]
            targets += self.waiting[1]
            self.waiting = encode(self.tokenizer, next(self.stream))
        if not tokens:
            message = f"a document is longer than {LENGTH} tokens"
            raise ValueError(message)
        missing = LENGTH + 1 - len(tokens)
        return tokens + [0] * missing, targets + [-100] * missing


def rate(step: int, steps: int) -> float:
    """Return the learning rate: a linear rise, then half a cosine down to nothing."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP)))


def loss_of(model: Llama, tokens: Tensor, targets: Tensor, *, rounded: bool) -> Tensor:
    """Return the mean cross entropy in nats per learned token."""
    weights = {
        name: quantized(weight) if rounded and weight.dim() == 2 else weight
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
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98))


def save(folder: Path, model: Llama, tokenizer: Tokenizer) -> None:
    """Write the checkpoint: float16 weights, tokenizer and the JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    generation = {"temperature": 0.7, "top_p": 0.95, "eos_token_id": 2}
    generation |= {"bos_token_id": 0, "pad_token_id": 0}
    words = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
        "model_max_length": LENGTH,
        "clean_up_tokenization_spaces": False,
    }
    for name, value in (
        ("config.json", CONFIG),
        ("generation_config.json", generation),
        ("tokenizer_config.json", words),
    ):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")


def train(args: argparse.Namespace) -> None:
    """Train for ``args.steps`` steps, or until interrupted, and save."""
    torch.manual_seed(args.seed)
    tokenizer = train_tokenizer(4000)
    batches = Batches(tokenizer, args.seed + 2)
    model = Llama()
    optimizer = optimizer_for(model)
    began = time.monotonic()
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps)
        rounded = step % 2 == 1 and step >= ROUNDED_FROM * args.steps
        loss = loss_of(model, *next(batches), rounded=rounded)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0:
            spent = time.monotonic() - began
            print(f"step {step} loss {loss.item():.4f} {spent:.0f} s", flush=True)
    save(args.output, model, tokenizer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    train(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
