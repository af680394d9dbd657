"""What a checkpoint's tokenizer files are and say."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models

from mlcx.errors import InputError
from mlcx.package.tokenizer_files import TokenizerFiles, inspect

FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
DEFAULTS = {
    "token_postproc_method": "byte_fallback",
    "prepend_space_in_encode": False,
    "strip_space_in_decode": False,
}
VOCABULARY = {chr(97 + i): i for i in range(26)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Tokenizer(models.BPE(VOCABULARY, [])).save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def change(folder: Path, **parts: object) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


def read(folder: Path) -> TokenizerFiles:
    warnings: list[str] = []
    found = inspect(folder, warnings.append)
    assert warnings == []
    return found


def test_every_known_file_is_listed_in_the_order_of_the_format(folder: Path) -> None:
    for name in FILES[::-1]:
        if name != "tokenizer.json":
            (folder / name).touch()
    (folder / "special_tokens_map.json").touch()
    assert read(folder).files == FILES
    assert read(folder).made == {}


def test_the_size_counts_added_tokens(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("<x>"), AddedToken("<y>", special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert read(folder).size == 28


LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}
LEVEL["use_regex"] = True
FALLBACK = {"type": "ByteFallback"}
FUSE = {"type": "Fuse"}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
PREPEND = {"type": "Prepend", "prepend": "▁"}


def sequence(key: str, *steps: object) -> dict[str, Any]:
    return {"type": "Sequence", key: list(steps)}


@pytest.mark.parametrize(
    ("decoder", "method", "strip"),
    [
        (None, "byte_fallback", False),
        (LEVEL, "byte_level", False),
        (FALLBACK, "byte_fallback", False),
        (FUSE, "byte_fallback", False),
        (STRIP, "byte_fallback", True),
        ({**STRIP, "start": 0}, "byte_fallback", False),
        (sequence("decoders", FALLBACK, FUSE, STRIP), "byte_fallback", True),
        (sequence("decoders", FALLBACK, LEVEL), "byte_level", False),
        (sequence("decoders", LEVEL, FALLBACK), "byte_fallback", False),
    ],
)
def test_the_decoder_says_how_tokens_become_text(
    folder: Path, decoder: object, method: str, strip: bool
) -> None:
    change(folder, decoder=decoder)
    assert read(folder).info == {
        "token_postproc_method": method,
        "prepend_space_in_encode": False,
        "strip_space_in_decode": strip,
    }


@pytest.mark.parametrize(
    ("normalizer", "expected"),
    [
        (None, False),
        (PREPEND, True),
        ({**PREPEND, "prepend": "_"}, False),
        ({"type": "NFC"}, False),
        (sequence("normalizers", {"type": "NFC"}, PREPEND), True),
    ],
)
def test_the_normalizer_says_whether_a_space_comes_first(
    folder: Path, normalizer: object, expected: bool
) -> None:
    change(folder, normalizer=normalizer)
    assert read(folder).info["prepend_space_in_encode"] is expected


def test_an_added_token_twice_is_refused(folder: Path) -> None:
    token = {
        "id": 0,
        "content": "<x>",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    change(folder, added_tokens=[token, {**token, "id": 1}])
    with pytest.raises(InputError, match="expected each once, found more of '<x>'"):
        read(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": 1}', '{"added_tokens": [{}]}'])
def test_a_damaged_tokenizer_is_refused_by_name(folder: Path, text: str) -> None:
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"tokenizer\.json.*: "):
        read(folder)


@pytest.mark.parametrize(
    "files", [(), ("vocab.json", "merges.txt"), ("tokenizer_config.json",)]
)
def test_without_a_tokenizer_there_is_a_warning(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    for name in files:
        (tmp_path / name).touch()
    warnings: list[str] = []
    found = inspect(tmp_path, warnings.append)
    assert (found.files, found.size, found.info) == (files, None, DEFAULTS)
    (warning,) = warnings
    assert "found no tokenizer.json; the model cannot take text" in warning


def test_vocabulary_merges_and_added_tokens_are_a_tokenizer_together(
    tmp_path: Path,
) -> None:
    for name in FILES[2:5]:
        (tmp_path / name).touch()
    found = read(tmp_path)
    assert (found.files, found.size, found.info) == (FILES[2:5], None, DEFAULTS)


def test_rwkvs_vocabulary_is_converted_and_listed(tmp_path: Path) -> None:
    (tmp_path / "rwkv_vocab_v20230424.txt").write_text("1 'a' 1\n")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    found = read(tmp_path)
    assert found.files == ("tokenizer_config.json", "tokenizer_model")
    assert found.made == {"tokenizer_model": b"\x81\x01\xc4\x01a"}
    assert (found.size, found.info) == (None, DEFAULTS)


def test_a_tiktoken_vocabulary_becomes_the_four_files_of_the_format(
    tmp_path: Path,
) -> None:
    lines = [f"{base64.b64encode(bytes([n])).decode()} {n}\n" for n in range(256)]
    (tmp_path / "qwen.tiktoken").write_text("".join(lines))
    settings = '{"tokenizer_class": "QWenTokenizer"}'
    (tmp_path / "tokenizer_config.json").write_text(settings)
    found = read(tmp_path)
    made = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")
    assert found.files == ("tokenizer_config.json", *made)
    assert set(found.made) == set(made)
    assert found.size == 256 + 208
    assert found.info["token_postproc_method"] == "byte_level"


def test_a_sentencepiece_model_becomes_a_tokenizer_json(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(Path(__file__).read_text().splitlines()),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        byte_fallback=True,
        vocab_size=400,
        minloglevel=2,
    )
    found = read(tmp_path)
    assert found.files == ("tokenizer.model", "tokenizer.json")
    assert list(found.made) == ["tokenizer.json"]
    assert found.size == 400
    assert found.info == {
        "token_postproc_method": "byte_fallback",
        "prepend_space_in_encode": True,
        "strip_space_in_decode": True,
    }


def test_a_tokenizer_json_is_preferred_to_converting(folder: Path) -> None:
    for name in ("tokenizer.model", "qwen.tiktoken", "rwkv_vocab_v20230424.txt"):
        (folder / name).write_text("not read")
    assert read(folder).made == {}
