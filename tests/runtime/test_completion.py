from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, processors

from mlcx.runtime.chat import Conversation
from mlcx.runtime.completion import Completion, Prompter
from mlcx.runtime.config import ChatConfig
from mlcx.runtime.engine import Engine
from mlcx.runtime.sampler import Sampling
from mlcx.runtime.tokenizer import Tokenizer, read

from .fake import VOCABULARY, FakeModel, greedy_after

GREEDY = Sampling(temperature=0.0, max_tokens=8)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"

TEMPLATE = Conversation(
    system_template="{system_message}",
    system_message="sys",
    system_prefix_token_ids=(48,),
    add_role_after_system_message=True,
    roles={"user": "U", "assistant": "A"},
    role_templates={"user": "{user_message}", "assistant": "{assistant_message}"},
    history=(),
    seps=("x",),
    role_content_sep="c",
    role_empty_sep="e",
    stop_str=("<end>", "zz"),
    stop_token_ids=(3,),
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """One token for each letter, <end> 47 and <s> 48; puts <s> before a text."""
    library = Library(models.BPE({letter: n for n, letter in enumerate(LETTERS)}, []))
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(["<end>", "<s>"])
    library.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 48)]
    )
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    library.save(str(folder / "tokenizer.json"))
    return read(folder)


def prompter(tokenizer: Tokenizer) -> Prompter:
    settings = ChatConfig({}, VOCABULARY, VOCABULARY, 64, Sampling(), TEMPLATE)
    return Prompter(settings, tokenizer)


def letters(tokens: list[int]) -> str:
    return "".join(LETTERS[token] for token in tokens if token < len(LETTERS))


def complete(tokenizer: Tokenizer, sampling: Sampling, stops: list[str]) -> Completion:
    engine = Engine(FakeModel(), 1, 64, VOCABULARY)
    return Completion(engine, tokenizer, [1, 2, 3], sampling, stops)


def test_a_chat_prompt_goes_through_the_template(tokenizer: Tokenizer) -> None:
    ids = prompter(tokenizer).chat("hi")
    assert ids[0] == 48
    assert letters(ids) == "sysUchixAe"
    assert letters(prompter(tokenizer).chat("hi", system="")) == "UchixAe"


def test_a_plain_prompt_gets_only_what_the_tokenizer_adds(tokenizer: Tokenizer) -> None:
    ids = prompter(tokenizer).plain("hi")
    assert ids[0] == 48
    assert letters(ids) == "hi"


def test_a_stop_string_that_is_a_token_stops_as_a_token(tokenizer: Tokenizer) -> None:
    sampling = prompter(tokenizer).stopping(Sampling(stop_tokens=frozenset({3})))
    assert sampling.stop_tokens == {3, 47}


def test_the_parts_make_the_text_of_the_tokens(tokenizer: Tokenizer) -> None:
    completion = complete(tokenizer, GREEDY, [])
    assert completion.finish is None
    text = "".join(completion)
    assert completion.tokens == greedy_after([1, 2, 3], 8)
    assert text == letters(completion.tokens)
    assert completion.finish == "length"
    assert completion.prefill_speed > 0
    assert completion.decode_speed > 0


def test_one_that_is_forgotten_or_cancelled_leaves_its_room(
    tokenizer: Tokenizer,
) -> None:
    engine = Engine(FakeModel(1), 1, 64, VOCABULARY)
    Completion(engine, tokenizer, [1], GREEDY)
    kept = Completion(engine, tokenizer, [2], GREEDY)
    kept.cancel()
    assert kept.finish == "cancelled"
    assert list(kept) == []
    last = Completion(engine, tokenizer, [3], GREEDY)
    engine.step()
    assert last.tokens == greedy_after([3], 2)


def test_a_stop_string_ends_the_text_and_the_request(tokenizer: Tokenizer) -> None:
    whole = letters(greedy_after([1, 2, 3], 8))
    stop = whole[3:5]
    completion = complete(tokenizer, GREEDY, [stop])
    assert "".join(completion) == whole[: whole.find(stop)]
    assert completion.finish == "stop"
    assert len(completion.tokens) < 8
