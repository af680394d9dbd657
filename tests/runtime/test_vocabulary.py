"""Formats of vocabularies besides tokenizer.json."""

import json
import random
from pathlib import Path

import msgpack
import pytest
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers

from mlcx.errors import InputError
from mlcx.runtime.tokenizer import Tokenizer, read

TEXT = "  A naïve café: 日本語 🙂\n\ttabs   and  spaces "
WORDS = ["the", " the", "  ", "ab", "abc", "日本", " 日", "\n\n", "🙂"]
SPLIT = [b"\xe6\x97", b"\xa5\xe6", b" \xe6"]
"""Tokens that begin or end inside a character."""


def tokens() -> dict[int, bytes]:
    """Ids from 1, as RWKV's: 0 ends a text."""
    found = [*(bytes([n]) for n in range(256)), *(w.encode() for w in WORDS), *SPLIT]
    return dict(enumerate(found, 1))


def rwkv(folder: Path) -> Tokenizer:
    (folder / "tokenizer_model").write_bytes(msgpack.packb(tokens()))
    return read(folder)


def longest_first(text: str) -> list[int]:
    """The rule by trying every token at every place."""
    data, ids = text.encode(), []
    while data:
        fits = [(len(t), i) for i, t in tokens().items() if data.startswith(t)]
        length, index = max(fits)
        ids.append(index)
        data = data[length:]
    return ids


def test_rwkv_takes_the_longest_token_at_each_place(tmp_path: Path) -> None:
    tokenizer = rwkv(tmp_path)
    random_ = random.Random(0)
    made = ["".join(random_.choices([*WORDS, *TEXT], k=12)) for _ in range(200)]
    for text in [TEXT, "", *made]:
        assert tokenizer.encode(text) == longest_first(text)
        assert tokenizer.encode(text, special=True) == longest_first(text)


def test_rwkv_gives_a_character_when_its_last_byte_is_there(tmp_path: Path) -> None:
    tokenizer = rwkv(tmp_path)
    by_bytes = {token: index for index, token in tokens().items()}
    ids = [by_bytes[b" \xe6"], by_bytes[b"\x97"], by_bytes[b"\xa5\xe6"], 0]
    detokenizer = tokenizer.detokenizer()
    assert [detokenizer.push(i) for i in ids] == [" ", "", "日", ""]
    assert detokenizer.finish() == "\N{REPLACEMENT CHARACTER}"


def test_rwkv_texts_come_back(tmp_path: Path) -> None:
    tokenizer = rwkv(tmp_path)
    detokenizer = tokenizer.detokenizer()
    parts = [detokenizer.push(token) for token in tokenizer.encode(TEXT)]
    assert "".join(parts) + detokenizer.finish() == TEXT


def test_rwkv_has_no_token_without_a_spelling(tmp_path: Path) -> None:
    tokenizer = rwkv(tmp_path)
    assert tokenizer.piece(0) is None
    assert tokenizer.piece(70000) is None
    assert tokenizer.token_id("日本") == 262
    assert tokenizer.token_id("nothing") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xc1", "not MessagePack"),
        (msgpack.packb([1, 2]), "expected a map of token ids to bytes"),
        (msgpack.packb({1: "a"}), "expected a map of token ids to bytes"),
        (msgpack.packb({1: b"a"}), "expected a token of each byte, found none of"),
    ],
)
def test_a_damaged_rwkv_vocabulary_is_named(
    data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer_model").write_bytes(data)
    with pytest.raises(InputError, match=rf"tokenizer_model: {message}"):
        read(tmp_path)


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    """A vocabulary, merges and an added token, as GPT-2's files."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġa", "ab", "Ġab"]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ a\na b\nĠa b\n")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|end|>": len(pieces)}))
    return tmp_path


def test_a_vocabulary_with_merges_and_added_tokens_is_a_tokenizer(gpt2: Path) -> None:
    tokenizer = read(gpt2)
    library = Library(
        models.BPE.from_file(str(gpt2 / "vocab.json"), str(gpt2 / "merges.txt"))
    )
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    assert tokenizer.encode(TEXT) == library.encode(TEXT).ids
    ids = tokenizer.encode("ab ab<|end|>")
    assert ids == [257, 258, 259]
    detokenizer = tokenizer.detokenizer()
    assert "".join(map(detokenizer.push, ids)) == "ab ab"


def test_all_three_files_are_needed(gpt2: Path) -> None:
    (gpt2 / "added_tokens.json").unlink()
    with pytest.raises(InputError, match="no tokenizer"):
        read(gpt2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", "{", r"vocab\.json: not a tokenizer"),
        ("merges.txt", "a zz\n", r"vocab\.json: not a tokenizer"),
        ("added_tokens.json", '{"<|end|>": 7}', "ids of .* do not follow"),
        ("added_tokens.json", '{"<a>": 259, "<b>": "260"}', '<b>: .* found "260"'),
        ("added_tokens.json", '{"<a>": 259.0}', "whole number, found 259.0"),
        ("added_tokens.json", '{"<a>": [259]}', r"<a>: .* found \[259\]"),
        ("added_tokens.json", '{"\\ud800": 259}', "part of a character"),
    ],
)
def test_a_damaged_file_is_named(
    name: str, content: str, message: str, gpt2: Path
) -> None:
    (gpt2 / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read(gpt2)


def test_formats_are_looked_for_in_the_order_of_mlcs_runtimes(gpt2: Path) -> None:
    (gpt2 / "tokenizer_model").write_bytes(msgpack.packb(tokens()))
    assert read(gpt2).token_id("Ġab") == 258
    (gpt2 / "tokenizer.model").touch()
    with pytest.raises(InputError, match="mlcx gen_config makes one"):
        read(gpt2)
    library = Library(models.BPE({"a": 0}, []))
    library.decoder = decoders.ByteLevel()
    library.save(str(gpt2 / "tokenizer.json"))
    assert read(gpt2).token_id("a") == 0
