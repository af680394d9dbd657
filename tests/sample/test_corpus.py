"""The sample model's training text: the same each time, and free of slips."""

from __future__ import annotations

import hashlib
import json
import random
import re
from itertools import islice
from pathlib import Path

import pytest

TRAINED_ON = "5c90c18a15a7d47d974cf52f603ab6a6fc880867b0b47cf7233ba93db740b56e"


@pytest.fixture
def texts(sample: Path) -> list[str]:
    from corpus import documents

    return ["".join(text for text, _ in doc) for doc in islice(documents(1), 1000)]


def test_the_first_thousand_documents_are_those_that_the_model_was_trained_on(texts):
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    assert digest == TRAINED_ON, "the text has changed: train the model again"


def test_another_seed_gives_another_text(sample, texts):
    from corpus import documents

    assert "".join(text for text, _ in next(documents(2))) not in texts


def test_no_template_mark_is_left_in_the_text(texts):
    assert not [text for text in texts if re.search(r"[\[\]{}]|  ", text)]


def test_articles_agree_with_the_words_after_them(texts):
    wrong = re.compile(r"\b(?:[Aa] (?!uni|user)[aeiou]|[Aa]n (?![aeiouA]|hon|hour)).*")
    assert not [found[0] for text in texts if (found := wrong.search(text))]


def test_sums_are_right(texts):
    found = re.findall(r"(\d+) (plus|minus) (\d+) is (\d+)\.", "".join(texts))
    assert len(found) > 50
    for left, sign, right, total in found:
        change = int(right) if sign == "plus" else -int(right)
        assert int(left) + change == int(total)


def test_every_chat_turn_opens_and_closes(texts):
    chats = [text for text in texts if "<|im_start|>" in text]
    assert chats
    for text in chats:
        assert text.count("<|im_start|>") == text.count("<|im_end|>\n")
        assert text.count("<|im_start|>user\n") == text.count("<|im_start|>assistant\n")


def test_only_answers_and_tales_are_learned(sample):
    from corpus import documents

    for document in islice(documents(3), 300):
        for text, learned in document:
            assert learned != text.startswith("<|im_start|>")
            assert not learned or text.endswith("<|im_end|>\n")


def test_a_tale_keeps_to_its_hero_and_its_friend(sample):
    from tales import draw_tale

    rng = random.Random(5)
    for _ in range(300):
        tale = draw_tale(rng)
        assert tale.slots["name"] != tale.slots["fname"]
        assert tale.tells_of("kind")
        assert tale.text.count(tale.slots["name"]) > 2
        assert tale.slots["fname"] in tale.text


def test_a_helper_can_do_what_the_hero_cannot(sample):
    from tales import KINDS, draw_tale

    skill = {row[0]: row[5] for row in KINDS}
    rng = random.Random(6)
    tales = [draw_tale(rng) for _ in range(600)]
    lost = [tale for tale in tales if "could not find it" in tale.text]
    assert lost
    for tale in lost:
        needed = re.search(r"could not (fly|climb|swim|dig)", tale.text)[1]
        assert skill[tale.slots["fkind"]] == needed
        assert skill.get(tale.slots["kind"]) != needed


@pytest.mark.parametrize(
    ("template", "possible"),
    [
        ("a [b|c] d", {"a b d", "a c d"}),
        ("[|x[y|z]]", {"", "xy", "xz"}),
        ("[{name}|it]", {"Tom", "it"}),
        ("{nested}", {"Tom!", "Tom?"}),
    ],
)
def test_a_template_expands_to_each_of_its_texts(sample, template, possible):
    from grammar import expand

    rng = random.Random(0)
    slots = {"name": "Tom", "nested": "{name}[!|?]"}
    assert {expand(rng, template, slots) for _ in range(80)} == possible


def test_a_template_with_an_unknown_slot_is_refused(sample):
    from grammar import expand

    with pytest.raises(KeyError, match="nobody"):
        expand(random.Random(0), "{nobody}", {})
