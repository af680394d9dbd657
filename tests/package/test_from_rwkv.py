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
        ("2 __import__('os').getcwd() 1", "malformed"),
        ("2 'a 1", "unterminated"),
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


def test_a_token_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rwkv_vocab_v20230424.txt"
    path.write_text("1 'a' 1\n2 b'a' 1\n")
    with pytest.raises(InputError, match="each token once"):
        tokenizer_model(path)
