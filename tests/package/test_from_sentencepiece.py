"""A tokenizer.json of a SentencePiece model encodes and decodes like the model."""

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from mlcx.errors import InputError
from mlcx.package.from_sentencepiece import tokenizer_json

spm = pytest.importorskip("sentencepiece")

LINES = [line for line in Path(__file__).read_text().splitlines() if line.strip()] + [
    "naïve café, 日本語 と 東京",
    "ﬁne ① straße 12 345",
] * 5
PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
UNESCAPED = b"\x1a\x02\x28\x00"
"""Field 3 of a model, its normalizer: field 5 of that, escape_whitespaces, is false."""

WITHOUT_PREFIX = b"\x1a\x02\x18\x00"
"""Likewise, add_dummy_prefix is false."""

CHARACTERS = "abc deXYZ  0123\n\t▁éß日本🙂.,-_ﬁ①\u3000"

MODELS: dict[str, dict[str, Any]] = {
    "Llama's": {"model_type": "bpe", "byte_fallback": True, **PLAIN},
    "BPE": {"model_type": "bpe"},
    "BPE, no space first": {"model_type": "bpe", "add_dummy_prefix": False},
    "unigram": {"model_type": "unigram"},
    "unigram, bytes": {"model_type": "unigram", "byte_fallback": True, **PLAIN},
    "unigram, padding": {"model_type": "unigram", "pad_id": 3, "bos_id": -1},
}


def trained(folder: Path, **options: Any) -> Any:
    """Write a tokenizer.model to ``folder`` and return SentencePiece with it."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=model,
        vocab_size=420,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def texts(seed: int, count: int) -> list[str]:
    random_ = random.Random(seed)
    made = []
    for _ in range(count // 2):
        line = random_.choice(LINES)
        start = random_.randrange(len(line))
        made.append(line[start : start + random_.randrange(50)])
        made.append("".join(random_.choices(CHARACTERS, k=random_.randrange(40))))
    return made


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_ids_and_texts_are_those_of_sentencepiece(
    options: dict[str, Any], tmp_path: Path
) -> None:
    model = trained(tmp_path, **options)
    tokenizer = Tokenizer.from_str(tokenizer_json(tmp_path))
    assert tokenizer.get_vocab_size() == model.get_piece_size()
    for text in texts(1, 1000):
        ids = model.encode(text)
        assert tokenizer.encode(text, add_special_tokens=False).ids == ids, text
        if model.unk_id() not in ids:
            assert tokenizer.decode(ids) == model.decode(ids)


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
def test_symbols_of_the_user_are_never_cut(model_type: str, tmp_path: Path) -> None:
    symbols = ["<sep>", "日本"]
    model = trained(
        tmp_path, model_type=model_type, user_defined_symbols=symbols, **PLAIN
    )
    tokenizer = Tokenizer.from_str(tokenizer_json(tmp_path))
    for text in texts(2, 600):
        mixed = "a" + text.replace("e", "<sep>")
        ids = model.encode(mixed)
        assert tokenizer.encode(mixed, add_special_tokens=False).ids == ids, mixed


def test_a_text_begins_as_the_checkpoint_says(tmp_path: Path) -> None:
    trained(tmp_path, model_type="bpe", byte_fallback=True)
    settings = tmp_path / "tokenizer_config.json"
    for config, around in [
        ({}, ([1], [])),
        ({"add_bos_token": False}, ([], [])),
        ({"add_eos_token": True}, ([1], [2])),
    ]:
        settings.write_text(json.dumps(config))
        tokenizer = Tokenizer.from_str(tokenizer_json(tmp_path))
        inner = tokenizer.encode("a b", add_special_tokens=False).ids
        assert tokenizer.encode("a b").ids == [*around[0], *inner, *around[1]]


def test_a_text_begins_without_a_space_where_the_checkpoint_says_so(
    tmp_path: Path,
) -> None:
    trained(tmp_path, model_type="bpe", **PLAIN)
    data = (tmp_path / "tokenizer.model").read_bytes()
    model = spm.SentencePieceProcessor(model_proto=data + WITHOUT_PREFIX)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text('{"add_prefix_space": false}')
    tokenizer = Tokenizer.from_str(tokenizer_json(tmp_path))
    for text in texts(4, 100):
        ids = model.encode(text)
        assert tokenizer.encode(text, add_special_tokens=False).ids == ids, text
    assert tokenizer.decode(model.encode(" a b")) == " a b"


def test_tokens_that_the_checkpoint_adds_follow_those_of_the_model(
    tmp_path: Path,
) -> None:
    size = trained(tmp_path, model_type="bpe").get_piece_size()
    listed = {str(size + 1): {"content": "<|end|>", "special": True}}
    settings = {"added_tokens_decoder": listed}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|tab|>": size}))
    tokenizer = Tokenizer.from_str(tokenizer_json(tmp_path))
    ids = tokenizer.encode("a<|tab|><|end|>", add_special_tokens=False).ids
    assert ids[-2:] == [size, size + 1]
    assert "<|end|>" not in tokenizer.decode(ids)
    assert "<|tab|>" in tokenizer.decode(ids)


def test_a_token_whose_id_does_not_follow_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, model_type="bpe")
    (tmp_path / "added_tokens.json").write_text('{"<|tab|>": 9000}')
    with pytest.raises(InputError, match=r"'<\|tab\|>' is declared with id 9000"):
        tokenizer_json(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("added_tokens.json", {"<|tab|>": "420"}, "expected tokens, each with its id"),
        ("added_tokens.json", {"<|tab|>": [420]}, "expected tokens, each with its id"),
        *(
            ("tokenizer_config.json", {"added_tokens_decoder": wrong}, "expected ids, ")
            for wrong in (
                [],
                {"x": {"content": "a"}},
                {"1" * 5000: {"content": "a"}},
                {"420": "a"},
                {"420": {}},
                {"420": {"content": 1}},
            )
        ),
    ],
)
def test_damaged_declarations_of_tokens_are_named(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    trained(tmp_path, model_type="bpe")
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        tokenizer_json(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert str(caught.value).endswith("; download it again")


@pytest.mark.parametrize(
    "options",
    [
        {"model_type": "word"},
        {"model_type": "bpe", "treat_whitespace_as_suffix": True},
    ],
    ids=["whole words", "spaces after words"],
)
def test_a_model_of_another_kind_is_refused(
    options: dict[str, Any], tmp_path: Path
) -> None:
    trained(tmp_path, **options)
    with pytest.raises(InputError, match=r"tokenizer\.model: expected a BPE or unigr"):
        tokenizer_json(tmp_path)


def test_a_model_with_spaces_as_they_are_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, model_type="bpe")
    with (tmp_path / "tokenizer.model").open("ab") as file:
        file.write(UNESCAPED)
    assert " " in spm.SentencePieceProcessor(str(file.name)).normalize("a b")
    with pytest.raises(InputError, match=r"expected a BPE .* with spaces before words"):
        tokenizer_json(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" * 40,
        lambda data: b"not a model",
        lambda data: b"\x0a\x02\x0a\x01" + data,
        lambda data: data.replace(b"\x18\x02", b"\x18\x03"),
        lambda data: data + b"\x0a\x05\x0a\x01~\x18\x02",
        lambda data: data + b"\x0a\x03\x0a\x01a",
        lambda data: data + b"\x0a\x02\x0a\x00",
        lambda data: data + b"\x12\x04\xc8\x02\xff\x7f",
        lambda data: data + b"\x12\x04\xd0\x02\xff\x7f",
        lambda data: data + b"\x1a\x05\x12\x03\xff\xff\xff",
    ],
    ids=[
        *("empty", "cut", "no number", "text", "a piece cut"),
        *("nothing unknown", "two unknown", "two alike", "an empty piece"),
        *("no such beginning", "no such end", "replacements cut"),
    ],
)
def test_a_damaged_model_is_named(change: Any, tmp_path: Path) -> None:
    trained(tmp_path, model_type="bpe")
    path = tmp_path / "tokenizer.model"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=r"tokenizer\.model: not a SentencePiece mod"):
        tokenizer_json(tmp_path)
