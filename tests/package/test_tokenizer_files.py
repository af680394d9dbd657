"""What a checkpoint's tokenizer files are and say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models

from mlcx.errors import InputError
from mlcx.package.tokenizer_files import TOKENIZER_FILES, TokenizerFiles, inspect

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
    for name in TOKENIZER_FILES[::-1]:
        if name != "tokenizer.json":
            (folder / name).touch()
    (folder / "special_tokens_map.json").touch()
    assert read(folder).files == TOKENIZER_FILES


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
    ("files", "message"),
    [
        (("tokenizer.model",), "only a SentencePiece model.*AutoTokenizer"),
        ((), "found no tokenizer.json"),
    ],
)
def test_without_a_tokenizer_json_there_is_a_warning(
    tmp_path: Path, files: tuple[str, ...], message: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    warnings: list[str] = []
    found = inspect(tmp_path, warnings.append)
    assert found.files == files
    assert found.size is None
    assert found.info["token_postproc_method"] == "byte_fallback"
    (warning,) = warnings
    assert re.search(message, warning)
