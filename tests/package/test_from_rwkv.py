"""RWKV's vocabulary files become the map that MLC's runtimes read."""

import json
from pathlib import Path

import msgpack
import pytest

from mlcx.errors import InputError
from mlcx.package.from_rwkv import tokenizer_model

LINES = r"""1 '\x00' 1
33 ' ' 1
34 "'" 1
129 b'\xe6\x97' 2
300 '\n\n' 2
301 '日本' 6
302 'a b "c" 1' 9
"""
TOKENS = {
    1: b"\0",
    33: b" ",
    34: b"'",
    129: b"\xe6\x97",
    300: b"\n\n",
    301: "日本".encode(),
    302: b'a b "c" 1',
}


def test_lines_of_literals_become_bytes_by_id(tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20230424.txt"
    path.write_text(LINES)
    packed = tokenizer_model(path)
    assert msgpack.unpackb(packed, strict_map_key=False) == TOKENS
    assert packed[:4] == b"\x87\x01\xc4\x01", "a map, and bin for bytes"


def test_an_object_of_texts_becomes_bytes_by_id(tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20220101.json"
    path.write_text(json.dumps({"a": 1, "日": 2}))
    found = msgpack.unpackb(tokenizer_model(path), strict_map_key=False)
    assert found == {1: b"a", 2: "日".encode()}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 'ab' 3", "expected 3 bytes, found 2"),
        ("2 7 1", "expected a text or bytes, found 7"),
        ("2 __import__('os').getcwd() 1", "expected a text or bytes, found __import"),
        ("2 'a 1", "expected a text or bytes, found 'a"),
        ("2 'a'b' 3", "expected a text or bytes, found 'a'b'"),
        (r"2 b'\xg0' 1", "invalid"),
        (r"2 '\ud800' 3", "surrogates not allowed"),
        (f"2 {'(' * 150}1{')' * 150} 1", "expected a text or bytes"),
        (f"2 {'-' * 50_000}1 1", "expected a text or bytes"),
        (f"2 'a'{'+' * 20_000}'b' 1", "expected a text or bytes"),
        ("x 'a' 1", "invalid literal"),
        ("2", "not enough values"),
        ("1 'b' 1", "the id 1 is there twice"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20230424.txt"
    path.write_text(f"1 'a' 1\n{line}\n")
    with pytest.raises(InputError, match=rf"20230424\.txt:2:1: not a token.*{message}"):
        tokenizer_model(path)


@pytest.mark.parametrize("content", ['{"a": 1, "b": 1}', '{"a": "1"}'])
def test_a_wrong_object_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20220101.json"
    path.write_text(content)
    with pytest.raises(InputError, match="expected texts and ids, each id once"):
        tokenizer_model(path)


def test_half_a_character_and_bytes_that_are_no_text_are_refused(
    tmp_path: Path,
) -> None:
    texts, lines = tmp_path / "texts.json", tmp_path / "lines.txt"
    texts.write_text('{"\\ud800": 1}')
    lines.write_bytes(b"1 'a' 1\n2 '\xff' 1\n")
    for path, place in ((texts, ""), (lines, ":2:1")):
        message = rf"{path.name}{place}: not a token: 'utf-8' codec can't"
        with pytest.raises(InputError, match=message):
            tokenizer_model(path)


@pytest.mark.parametrize("index", [-1, 1 << 32, 1 << 64])
def test_what_is_no_id_is_refused(index: int, tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20230424.txt"
    path.write_text(f"{index} 'a' 1\n")
    with pytest.raises(InputError, match="expected ids from 0 to 4294967295"):
        tokenizer_model(path)


def test_a_token_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20230424.txt"
    path.write_text("1 'a' 1\n2 b'a' 1\n")
    with pytest.raises(InputError, match="each token once"):
        tokenizer_model(path)
