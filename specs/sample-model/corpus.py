"""The training text: an endless, seeded stream of documents in ChatML or plain prose.

All of it is our own, drawn from the templates beside this file: no other text goes in.
Needs the standard library alone, and knows nothing of tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from facts import Fact, comprehension, fact_table, small_talk, sums
from grammar import an, expand, words
from tales import Tale, draw_tale

__all__ = ["FACTS", "Document", "documents", "prompt", "request"]

Document = list[tuple[str, bool]]
"""Pieces of text in order, and whether the model learns to write each."""

START, END = "<|im_start|>", "<|im_end|>\n"
FACTS = fact_table()
OPINIONS = (
    "You are [a helpful|a friendly|a kind|an honest] [assistant|helper|storyteller].",
    "[A|This is a] [chat|conversation|talk] between a user and an [|AI ]assistant.",
    "The assistant gives [helpful|short|honest|good] [|and honest ]answers.",
    "The assistant [writes|tells] [short |good |]stories.",
    "[Answer|Reply] [briefly|kindly|in simple words|clearly][| and honestly].",
    "You [tell|write|know] [short |]stories for children.",
    "You are TinyTales[|, a small model that tells stories].",
    "Be [kind|brief|honest|helpful][| and polite].",
    "[The assistant knows {noise}.|Think of {noise}.]",
    "The user likes {noise} and {noise}.",
)
NOISE = words("""music rivers cities numbers ships colours letters machines languages
weather history paper windows science bread trains winter plants maps glass tools
people""")
ASK = (
    "[Please |Can you |]{tell} me a [|short |little |nice |new ]{tale} about {subject}",
    "[Please |]write a [|short |little |nice ]{tale} about {subject}",
    "[I want to hear|I would like|Give me|Make up] a [|short ]{tale} about {subject}",
    "[A |][|short ]{tale} about {subject}[, please|]",
)
TELL = ("[Tell|tell] me a [|short |bedtime |new |nice ]story", "Do you know a story")
TITLES = ("{name} the {kind}", "The {kind} and the {fkind}", "{name} and {fname}")


def documents(
    seed: int, plain: float = 0.25, asking: float = 0.55
) -> Iterator[Document]:
    """Yield documents without end; the same arguments give the same ones.

    A share of ``plain`` are tales without markup; of the others, a share of ``asking``
    are questions in the main, and the rest ask for a tale.
    """
    rng = random.Random(seed)  # noqa: S311
    while True:
        yield _plain(rng) if rng.random() < plain else _chat(rng, asking)


def prompt(question: str, system: str = "") -> str:
    """Return the text that asks the model ``question``, ready for its answer."""
    head = f"{START}system\n{system}{END}" if system else ""
    return f"{head}{START}user\n{question}{END}{START}assistant\n"


def _plain(rng: random.Random) -> Document:
    """A tale without any markup; now and then under a title."""
    tale = draw_tale(rng)
    text = tale.text + END
    if rng.random() < 0.1:
        title = rng.choice(TITLES).format_map(tale.slots).title()
        text = f"{title}\n\n{text}"
    return [(text, True)]


def _chat(rng: random.Random, asking: float) -> Document:
    """A conversation of one tale, of some questions, or of both."""
    turns = _questions(rng, rng.randint(1, 4)) if rng.random() < asking else []
    if not turns or rng.random() < 0.12:
        tale = draw_tale(rng)
        turns = [*turns[:1], (request(rng, tale), tale.text)]
        turns += rng.sample(_follow_ups(tale), rng.choice((0, 0, 1, 2)))
    system = _system(rng) if rng.random() < 0.6 else ""
    document: Document = []
    for question, answer in turns:
        document += [(prompt(question, system), False), (answer + END, True)]
        system = ""
    return document


def _system(rng: random.Random) -> str:
    """One to three sentences that should change nothing."""
    parts = rng.sample(OPINIONS, rng.choice((1, 1, 2, 3)))
    return " ".join(expand(rng, part, _Noise(rng)) for part in parts)


class _Noise(dict[str, str]):
    """A slot that is another word each time."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __missing__(self, key: str) -> str:
        return self.rng.choice(NOISE)


def _questions(rng: random.Random, count: int) -> list[Fact]:
    """Draw questions of every sort, worded now and then as people type them."""
    turns = []
    for _ in range(count):
        sort = rng.random()
        if sort < 0.5:
            question, answer = rng.choice(FACTS)
        elif sort < 0.72:
            question, answer = sums(rng)
        else:
            question, answer = (comprehension if sort < 0.85 else small_talk)(rng)
        turns.append((_typed(rng, expand(rng, question, {})), answer))
    return turns


def _typed(rng: random.Random, question: str) -> str:
    """Return ``question`` as it is, or without its capital or its last mark."""
    if rng.random() < 0.1:
        question = question[0].lower() + question[1:]
    return question.rstrip("?!.") if rng.random() < 0.1 else question


def request(rng: random.Random, tale: Tale) -> str:
    """Ask for ``tale`` by something that it is about."""
    verbs = {"tell": "tell", "tale": rng.choice(("story", "story", "tale"))}
    ask, end = rng.choice(ASK), rng.choice((".", ".", "!", ""))
    if rng.random() < 0.08:
        ask = rng.choice(TELL)
    slots = tale.slots | verbs | {"subject": _subject(rng, tale)}
    request = expand(rng, ask, slots)
    end = "?" if request.startswith(("Can", "Do")) else end
    return _typed(rng, request[0].upper() + request[1:] + end)


def _subject(rng: random.Random, tale: Tale) -> str:
    """Name the hero, and often something else that the tale tells of."""
    named = ("{a_character} {kind}", "{a_kind} named {name}")
    hero = rng.choice(("{a_kind}",) * 4 + named)
    hints = ["", "", " " + tale.plot.who, " {at}", f" and {tale.plot.theme}"]
    if tale.tells_of("the_thing"):
        hints += [" and {a_thing}", " and " + an(tale.slots["thing"])]
    if tale.tells_of("fkind"):
        hints += [" and {fa_kind}", " and {fa_kind} {at}"]
    whole = (tale.plot.theme, "{name} the {kind}", "{name} and {fname}", "{a_kind}")
    return rng.choice(whole) if rng.random() < 0.15 else hero + rng.choice(hints)


def _follow_ups(tale: Tale) -> list[Fact]:
    """Return the questions about what ``tale`` has just told."""
    pairs = [
        ("What was the {kind}'s name?", "The {kind}'s name was {name}."),
        ("What was the name of the {kind}?", "The {kind}'s name was {name}."),
        ("Where did {name} live?", "{name} lived {at}."),
        ("Who was {fname}?", "{fname} was {fa_kind}."),
        ("Who was {name}?", "{name} was {a_kind}."),
    ]
    if tale.tells_of("the_thing"):
        pairs.append(("What colour was the {thing}?", "The {thing} was {colour}."))
    if tale.tells_of("lesson"):
        pairs.append(("What did {name} learn?", "{name} learned that {lesson}."))
    return [(q.format_map(tale.slots), a.format_map(tale.slots)) for q, a in pairs]
