"""The files of a tiktoken vocabulary encode like tiktoken."""

import base64
import json
import random
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from mlcx.artifact import byte_characters
from mlcx.errors import InputError
from mlcx.package.from_tiktoken import tokenizer_files

tiktoken = pytest.importorskip("tiktoken")

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SPECIAL += [f"<|extra_{number}|>" for number in range(205)]
TEXT = Path(__file__).read_text() + "naïve café, 日本語 と 東京\n" * 5


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    """Train merges, which tiktoken's ranks are made of."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


@pytest.fixture
def ranks(trained: Tokenizer) -> dict[bytes, int]:
    byte = {character: n for n, character in enumerate(byte_characters())}
    vocabulary = trained.get_vocab()
    return {bytes(map(byte.__getitem__, t)): i for t, i in vocabulary.items()}


@pytest.fixture
def path(ranks: dict[bytes, int], tmp_path: Path) -> Path:
    lines = [f"{base64.b64encode(token).decode()} {i}\n" for token, i in ranks.items()]
    path = tmp_path / "qwen.tiktoken"
    path.write_text("".join(lines))
    settings = {"tokenizer_class": "QWenTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


def test_ids_are_those_of_tiktoken(path: Path, ranks: dict[bytes, int]) -> None:
    special = {text: len(ranks) + n for n, text in enumerate(SPECIAL)}
    expected = tiktoken.Encoding(
        "test", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special
    )
    tokenizer = Tokenizer.from_str(tokenizer_files(path)["tokenizer.json"])
    random_ = random.Random(0)
    for _ in range(1000):
        start = random_.randrange(len(TEXT))
        text = TEXT[start : start + random_.randrange(60)]
        text += "".join(random_.choices("ab 01\r\n\t'sré́日🙂<|-_ﬁ¼", k=12))
        text += random_.choice(["", "<|im_start|>", "<|extra_204|>"])
        text = unicodedata.normalize("NFC", text)
        ids = expected.encode(text, allowed_special="all")
        assert tokenizer.encode(text).ids == ids, text
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_merges_are_those_that_the_ranks_were_made_of(
    path: Path, trained: Tokenizer
) -> None:
    files = tokenizer_files(path)
    merges = json.loads(trained.to_str())["model"]["merges"]
    assert json.loads(files["tokenizer.json"])["model"]["merges"] == merges
    lines = files["merges.txt"].splitlines()
    assert lines[1:] == [" ".join(pair) for pair in merges]


def test_the_vocabulary_holds_the_special_tokens_behind_the_ranks(
    path: Path, trained: Tokenizer
) -> None:
    files = tokenizer_files(path)
    vocabulary = json.loads(files["vocab.json"])
    assert vocabulary["<|endoftext|>"] == 500
    assert len(vocabulary) == 500 + len(SPECIAL)
    assert vocabulary.items() >= trained.get_vocab().items()
    roles = json.loads(files["special_tokens_map.json"])
    assert set(roles.values()) == {"<|endoftext|>"}


def line(token: bytes, rank: int) -> str:
    return f"{base64.b64encode(token).decode()} {rank}\n"


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("%%% 500\n", r"qwen\.tiktoken:501:1: expected base64 and a rank"),
        ("YQ==\n", r"501:1: expected base64 and a rank"),
        (line(b"zq", 501), "expected each sequence and rank, from 0, once"),
        (line(b"a", 500), "expected each sequence and rank, from 0, once"),
        (line(b"\x01\x02\x03", 500), "rank 500, .*: cannot be made of lower ranks"),
    ],
)
def test_damaged_ranks_are_named(path: Path, added: str, message: str) -> None:
    path.write_text(path.read_text() + added)
    with pytest.raises(InputError, match=message):
        tokenizer_files(path)


def test_ranks_without_every_byte_are_refused(tmp_path: Path, path: Path) -> None:
    path.write_text("".join(line(bytes([n]), n) for n in range(255)))
    with pytest.raises(InputError, match="expected a rank of every byte"):
        tokenizer_files(path)


@pytest.mark.parametrize(
    "settings",
    ["{}", '{"tokenizer_class": "OwnTokenizer"}', '{"tokenizer_class": ["x"]}'],
)
def test_a_tokenizer_that_is_not_known_is_refused(path: Path, settings: str) -> None:
    path.with_name("tokenizer_config.json").write_text(settings)
    with pytest.raises(InputError, match="tokenizer_class: expected QWenTokenizer, fo"):
        tokenizer_files(path)
