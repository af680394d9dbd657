"""Measure the sample model, show what it writes, and record a reference for tests.

    python specs/sample-model/check.py --reference tests/sample/reference.json

Everything is computed by PyTorch in float32 from the float16 checkpoint; ``4 bits``
stands for matrices rounded as q4f16_1 rounds them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
from corpus import FACTS, prompt, request
from facts import comprehension, sums
from grammar import expand
from model import Llama, greedy, halved, load, quantized
from tales import draw_tale
from tokenizers import Tokenizer

__all__ = ["accuracy", "reference", "tale_score"]

HERE = Path(__file__).resolve().parent
STOP = 2
SYSTEM = (
    "A conversation between a user and an LLM-based AI assistant. "
    "The assistant gives helpful and honest answers."
)
"""What MLC LLM's ``chatml`` template says by default; no training text contains it."""
SHOWN = (
    "Once upon a time",
    prompt("Tell me a story about a fox and a green kite.", SYSTEM),
    prompt("Write a short tale about a rabbit named Bimo who was afraid of the dark."),
    prompt("What is the capital of France?", SYSTEM),
    prompt("What is 7 + 5?"),
    prompt(
        "Tom has a red ball and Mia has a blue kite. What colour is the kite?", SYSTEM
    ),
    prompt("Who are you?"),
)


def accuracy(model: Llama, tokenizer: Tokenizer) -> dict[str, float]:
    """Return the share of right answers, word for word, by sort of question."""
    rng = random.Random(99)  # noqa: S311
    sorts = {
        "facts": FACTS,
        "sums": [sums(rng) for _ in range(200)],
        "reading": [comprehension(rng) for _ in range(200)],
    }
    right = {}
    for sort, pairs in sorts.items():
        answered = [
            _answers(
                model, tokenizer, prompt(expand(rng, question, {}), SYSTEM), answer
            )
            for question, answer in pairs
        ]
        right[sort] = round(sum(answered) / len(answered), 3)
    return right


@torch.no_grad()
def _answers(model: Llama, tokenizer: Tokenizer, asked: str, answer: str) -> bool:
    """Return whether greedy decoding would write exactly ``answer`` and stop."""
    start = len(tokenizer.encode(asked).ids)
    tokens = tokenizer.encode(f"{asked}{answer}<|im_end|>").ids
    best = model(torch.tensor([tokens[:-1]]))[0, start - 1 :].argmax(-1)
    return best.tolist() == tokens[start:]


def tale_score(model: Llama, tokenizer: Tokenizer, count: int) -> dict[str, float]:
    """Return the share of greedy tales that end, and of wishes that they fulfil."""
    rng = random.Random(98)  # noqa: S311
    ended = asked = told = 0
    for _ in range(count):
        tale = draw_tale(rng)
        wish = request(rng, tale)
        tokens = greedy(model, tokenizer.encode(prompt(wish, SYSTEM)).ids, 300, STOP)
        text = tokenizer.decode(tokens)
        ended += len(tokens) < 300 and text.endswith((".", '"'))
        slots = ("name", "kind", "fkind", "place", "thing", "the_thing")
        words = [tale.slots[slot] for slot in slots if tale.slots[slot] in wish]
        asked += len(words)
        told += sum(word in text for word in words)
    return {"ended": ended / count, "wishes_met": round(told / asked, 3)}


@torch.no_grad()
def reference(
    model: Llama, stored: Llama, tokenizer: Tokenizer, text: str
) -> dict[str, Any]:
    """Return the tokens of ``text``, the five likeliest next and 24 greedy ones.

    The five have the logits of ``model`` and those of ``stored``: the same model, its
    weights rounded to bfloat16 as a model directory of q0f32 holds them.
    """
    tokens = tokenizer.encode(text).ids
    top = model(torch.tensor([tokens]))[0, -1].topk(5)
    after = stored(torch.tensor([tokens]))[0, -1, top.indices]
    written = greedy(model, tokens, 24, None)
    return {
        "prompt": text,
        "tokens": tokens,
        "top": top.indices.tolist(),
        "top_logits": [round(value, 4) for value in top.values.tolist()],
        "top_logits_q0f32": [round(value, 4) for value in after.tolist()],
        "greedy": written,
        "greedy_text": tokenizer.decode(written, skip_special_tokens=False),
    }


def show(model: Llama, tokenizer: Tokenizer, title: str) -> None:
    """Write the greedy answers to ``SHOWN``."""
    for text in SHOWN:
        tokens = greedy(model, tokenizer.encode(text).ids, 300, STOP)
        asked = text.partition("user\n")[2].partition("<|im_end|>")[0] or text
        sys.stdout.write(f"[{title}] {asked}\n    {tokenizer.decode(tokens)}\n")


def main() -> int:
    """Read the options and check; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=HERE, help="default: here")
    parser.add_argument(
        "--reference", type=Path, help="write the reference to this file"
    )
    parser.add_argument("--tales", type=int, default=40, help="to score; default: 40")
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    for title, rounding in (("float32", None), ("4 bits", quantized)):
        model = load(args.model, rounding)
        show(model, tokenizer, title)
        scores = accuracy(model, tokenizer) | tale_score(model, tokenizer, args.tales)
        sys.stdout.write(f"[{title}] {json.dumps(scores)}\n")
    if args.reference:
        models = load(args.model), load(args.model, halved)
        found = [reference(*models, tokenizer, text) for text in SHOWN[:1] + SHOWN[3:5]]
        args.reference.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
