from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Library

from mlcx.errors import InputError
from mlcx.runtime.tokenizer import Tokenizer, read

TEXT = "  A naïve café: 日本語 🙂👩\u200d👩\u200d👧 ß\n\ttabs   and  spaces "

SENTENCEPIECE = [
    decoders.Replace("▁", " "),
    decoders.ByteFallback(),
    decoders.Fuse(),
    decoders.Strip(" ", 1, 0),
]


def byte_level() -> Library:
    """All bytes, some pieces that begin or end inside a character, a special token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, "Ġt", "he", "ĠæĹ¥", "æĹ", "ðŁĻ", "Ċ"]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys(pieces))}
    library = Library(models.BPE(vocabulary, []))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(["<|end|>"])
    library.add_tokens([AddedToken("two words"), AddedToken("日本")])
    return library


def sentencepiece(decoder: Any) -> Library:
    """Characters and words with ▁ for a space, and one token for each byte."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁the", "▁▁", "a", "b", "é", "日", "▁b▁", "<0x", "<0xZZ>"]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    library = Library(
        models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    library.decoder = decoder
    library.add_special_tokens(["<s>"])
    return library


LIBRARIES = {
    "byte level": byte_level(),
    "sentencepiece": sentencepiece(decoders.Sequence(SENTENCEPIECE)),
    "without strip": sentencepiece(decoders.Sequence(SENTENCEPIECE[:3])),
    "two stripped": sentencepiece(
        decoders.Sequence([*SENTENCEPIECE[:3], decoders.Strip(" ", 2, 0)])
    ),
    "metaspace": sentencepiece(decoders.Metaspace()),
    "metaspace, never": sentencepiece(decoders.Metaspace(prepend_scheme="never")),
}


def opened(library: Library, folder: Path) -> Tokenizer:
    library.save(str(folder / "tokenizer.json"))
    return read(folder)


def parts(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    detokenizer = tokenizer.detokenizer()
    return [*(detokenizer.push(token) for token in ids), detokenizer.finish()]


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_parts_of_random_tokens_make_the_text_of_all(
    name: str, tmp_path: Path
) -> None:
    library = LIBRARIES[name]
    tokenizer = opened(library, tmp_path)
    size = library.get_vocab_size()
    for seed in range(400):
        random_ = random.Random(seed)
        ids = random_.choices(range(size + 3), k=random_.randint(0, 60))
        assert "".join(parts(tokenizer, ids)) == library.decode(ids)


@pytest.mark.parametrize("name", ["byte level", "sentencepiece"])
def test_the_parts_of_a_text_make_the_text_without_a_replacement(
    name: str, tmp_path: Path
) -> None:
    tokenizer = opened(LIBRARIES[name], tmp_path)
    ids = tokenizer.encode(TEXT)
    given = parts(tokenizer, ids)
    assert "".join(given) == LIBRARIES[name].decode(ids)
    assert not any("\N{REPLACEMENT CHARACTER}" in part for part in given)
    assert len([part for part in given if part]) > 5


def test_the_first_text_of_a_byte_level_token_comes_with_it(tmp_path: Path) -> None:
    tokenizer = opened(LIBRARIES["byte level"], tmp_path)
    assert parts(tokenizer, tokenizer.encode("ab é")) == ["a", "b", " ", "", "é", ""]


def test_special_tokens_are_encoded_but_not_shown(tmp_path: Path) -> None:
    tokenizer = opened(LIBRARIES["byte level"], tmp_path)
    ids = tokenizer.encode("a<|end|>b")
    assert tokenizer.token_id("<|end|>") in ids
    assert "".join(parts(tokenizer, ids)) == "ab"
    assert tokenizer.token_id("<|nothing|>") is None


@pytest.mark.parametrize(
    "decoder",
    [
        None,
        decoders.WordPiece(),
        decoders.Sequence([decoders.ByteFallback(), decoders.Strip(" ", 1, 0)]),
        decoders.Sequence([*SENTENCEPIECE[:3], decoders.Strip(" ", 1, 1)]),
        decoders.Sequence([decoders.Fuse(), decoders.Replace("▁", " ")]),
    ],
)
def test_a_decoder_that_is_not_known_is_named(decoder: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json: decoder .* is not known"):
        opened(sentencepiece(decoder) if decoder else without_decoder(), tmp_path)


def without_decoder() -> Library:
    return Library(models.BPE({"a": 0}, []))


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json: no tokenizer"):
        read(tmp_path)


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 3}))
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        read(tmp_path)
