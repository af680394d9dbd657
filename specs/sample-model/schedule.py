"""What each step of the training learns from: documents, row length, learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import torch
from corpus import Document, documents
from model import CONFIG
from tokenizers import Tokenizer
from torch import Tensor

__all__ = ["ALL", "STAGES", "Batches", "Stage", "Step", "plan"]

LENGTH = CONFIG["max_position_embeddings"]
WARM_UP = 100
BATCH = 4096
"""Tokens of a step."""
IGNORED = -100
LONG_FROM = 0.75
"""Share of a stage after which rows are as long as the context, not half of it."""
ROUNDED_FROM = 0.6
"""Share of a stage after which every other step sees weights of 4 bits."""


@dataclass(frozen=True)
class Stage:
    """A rise and fall of the learning rate over one mix of documents."""

    steps: int
    peak: float
    plain: float
    asking: float


STAGES = (Stage(2200, 3e-3, 0.25, 0.55), Stage(1800, 1.5e-3, 0.1, 0.8))
"""First to write and to mind the prompt, mostly on tales; then mostly facts."""
ALL = sum(stage.steps for stage in STAGES)


def encode(tokenizer: Tokenizer, document: Document) -> tuple[list[int], list[int]]:
    """Return the tokens and, for each, the target: itself, or IGNORED."""
    tokens: list[int] = []
    targets: list[int] = []
    for text, learned in document:
        ids = tokenizer.encode(text).ids
        tokens += ids
        targets += ids if learned else [IGNORED] * len(ids)
    return tokens, targets


class Batches:
    """Endless batches of whole documents, packed into rows of ``length`` + 1 tokens."""

    def __init__(self, tokenizer: Tokenizer, stage: Stage, seed: int, length: int):
        self.room = length + 1
        texts = documents(seed, stage.plain, stage.asking)
        encoded = (encode(tokenizer, document) for document in texts)
        self.stream = (pair for pair in encoded if len(pair[0]) <= self.room)
        self.waiting = list(islice(self.stream, 32))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        rows = BATCH // (self.room - 1)
        tokens, targets = zip(*(self._row() for _ in range(rows)), strict=True)
        return torch.tensor(tokens), torch.tensor(targets)

    def _row(self) -> tuple[list[int], list[int]]:
        tokens: list[int] = []
        targets: list[int] = []
        while (fits := self._first_within(self.room - len(tokens))) is not None:
            document = self.waiting.pop(fits)
            tokens += document[0]
            targets += document[1]
            self.waiting.append(next(self.stream))
        missing = self.room - len(tokens)
        return tokens + [0] * missing, targets + [IGNORED] * missing

    def _first_within(self, room: int) -> int | None:
        fitting = (i for i, doc in enumerate(self.waiting) if len(doc[0]) <= room)
        return next(fitting, None)


@dataclass(frozen=True)
class Step:
    """What one step learns from, and how."""

    tokens: Tensor
    targets: Tensor
    rate: float
    rounded: bool


def plan(tokenizer: Tokenizer, seed: int) -> Iterator[Step]:
    """Yield every step of every stage: short rows, which cost less, then long ones."""
    for at, stage in enumerate(STAGES):
        first = seed + 2 * at + 2
        turn = int(LONG_FROM * stage.steps)
        short = islice(Batches(tokenizer, stage, first, LENGTH // 2), turn)
        long = islice(Batches(tokenizer, stage, first + 1, LENGTH), stage.steps - turn)
        for step, (tokens, targets) in enumerate(chain(short, long)):
            rounded = step % 2 == 1 and step >= ROUNDED_FROM * stage.steps
            yield Step(tokens, targets, rate(stage, step), rounded)


def rate(stage: Stage, step: int) -> float:
    """Return the learning rate: a linear rise, then half a cosine down to nothing."""
    if step < WARM_UP:
        return stage.peak * (step + 1) / WARM_UP
    done = (step - WARM_UP) / (stage.steps - WARM_UP)
    return stage.peak * 0.5 * (1 + math.cos(math.pi * done))
