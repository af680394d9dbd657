"""The training text: documents drawn from our own tales and facts. Early draft."""

from __future__ import annotations

import random
from collections.abc import Iterator

Document = list[tuple[str, bool]]
END = "<|im_end|>\n"


def documents(seed: int) -> Iterator[Document]:
    rng = random.Random(seed)  # noqa: S311
    places = ["forest", "garden", "meadow", "village"]
    while True:
        a = rng.choice(["fox", "rabbit", "bear", "mouse", "owl", "duck"])
        n = rng.choice(["Tim", "Lily", "Max", "Mia", "Pip", "Ella"])
        p = rng.choice(places)
        tale = (f"Once upon a time, a small {a} named {n} lived in the {p}. One day, {n} "
                f"found a red ball under a tree. {n} was very happy and played all day.")
        if rng.random() < 0.5:
            yield [(tale + END, True)]
        else:
            ask = f"<|im_start|>user\nTell me a story about a {a} named {n} in the {p}.{END}<|im_start|>assistant\n"
            sys = "<|im_start|>system\nYou are a helpful assistant." + END
            yield [((sys if rng.random() < .5 else "") + ask, False), (tale + END, True)]
