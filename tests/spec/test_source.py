"""Reading a spec: what is refused and where, and the position of each value."""

from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.spec.source import pointer, read

UNREADABLE = {
    "an empty file": (b"", "1:1: the file is empty: expected a JSON object"),
    "only spaces": (b" \r\n\t", "1:1: the file is empty: expected a JSON object"),
    "a byte order mark": (
        b"\xef\xbb\xbf{}",
        "1:1: found a byte order mark: save the file as UTF-8 without one",
    ),
    "UTF-16": (
        "{}".encode("utf-16"),
        "1:1: expected UTF-8 text, found UTF-16: save the file as UTF-8",
    ),
    "Latin-1": (
        b'{\r\n "\xc3\xa9": "caf\xe9"}',
        "2:11: expected UTF-8 text, found the byte 0xe9",
    ),
    "a list": (b"[]", "1:1: expected an object {…} as the root, found an empty list"),
    "a text": (b'"x"', '1:1: expected an object {…} as the root, found "x"'),
    "a trailing comma": (b'{"a": [1,]}', "a comma before the closing ]: remove it"),
    "a trailing comma in an object": (
        b'{"a": 1,\n}',
        "a comma before the closing }: remove it",
    ),
    "a line comment": (
        b'{\n // x\n "a": 1}',
        "2:2: JSON has no comments: remove this one",
    ),
    "a block comment": (
        b'{"a": /* x */ 1}',
        "1:7: JSON has no comments: remove this one",
    ),
    "single quotes": (
        b"{'a': 1}",
        "1:2: JSON needs double quotes, found a single one",
    ),
    "Python's True": (b'{"a": True}', "1:7: JSON writes true, found True"),
    "an open text": (b'{"a": "b}', "1:7: this text has no closing double quote"),
    "an open text in a line": (
        b'{"a": "b,\n"c": 1}',
        "1:10: the line ends inside a text: a double quote is missing, or a \\n",
    ),
    "a tab in a text": (
        b'{"a": "\t"}',
        "1:8: a control character inside a text: write \\t for a tab",
    ),
    "a Windows path": (
        b'{"a": "C:\\models"}',
        "a backslash inside a text: write \\\\ for the character itself",
    ),
    "a cut-off file": (
        b'{"a": [1',
        "1:9: the file ends too early: a }, a ] or a value is missing",
    ),
    "a missing comma": (
        b'{"a": 1\n "b": 2}',
        '2:2: expected a comma or the closing bracket, found "',
    ),
    "a missing colon": (b'{"a" 1}', "1:6: expected a colon after the key, found 1"),
    "a bare key": (b"{a: 1}", "1:2: expected a key in double quotes, found a"),
    "a bare value": (b'{"a": b}', "1:7: expected a value, found b"),
    "two objects": (
        b"{} {}",
        "1:4: expected the end of the file, found {: one file, one object",
    ),
    "NaN": (b'{"a": NaN}', "1:7: expected a JSON value, found NaN"),
    "a number without end": (
        b'{"a": ' + b"1" * 5000 + b"}",
        "1:7: the number has too many digits",
    ),
    "half a surrogate pair": (
        b'{"a": "\\ud800"}',
        "1:7: the text holds half of a UTF-16 surrogate pair: write the character"
        " itself",
    ),
    "a key twice": (
        b'{"a": {"k": 1,\r\n\t"k": 2}}',
        '2:2: the key "k" is given more than once: keep one of them',
    ),
    "deep nesting": (b'{"a":' * 80 + b"1" + b"}" * 80, "nested more than 64 deep"),
    "deeper nesting": (b"[" * 100_000, "nested more than 64 deep"),
}


@pytest.mark.parametrize(("data", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_json_object_is_refused_with_its_place(
    tmp_path: Path, data: bytes, message: str
) -> None:
    file = tmp_path / "spec.json"
    file.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(file)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{file}:")
    assert str(caught.value).endswith(message)


def test_every_flaw_of_a_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text('{"a": 1, "a": Infinity,\n "b": [NaN]}')
    with pytest.raises(InputError) as caught:
        read(file)
    places = [(each.line, each.column) for each in caught.value.problems]
    assert places == [(1, 10), (1, 15), (2, 8)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.json", "there is no such file"),
        (".", "expected a JSON file, found a folder"),
        ("a\0b", "cannot be read: "),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


TEXT = '{\r\n\t"a": [1, {"b/c": "é", "\\"": 2}],\n  "é": {"k":\n   3}}'


@pytest.mark.parametrize(
    ("steps", "at_key", "place"),
    [
        ((), False, (1, 1)),
        (("a",), True, (2, 2)),
        (("a",), False, (2, 7)),
        (("a", 0), False, (2, 8)),
        (("a", 1, "b/c"), False, (2, 19)),
        (("a", 1, '"'), False, (2, 30)),
        (("é", "k"), True, (3, 9)),
        (("é", "k"), False, (4, 4)),
        (("a", 1, "missing"), True, (2, 11)),
        (("missing",), False, (1, 1)),
    ],
)
def test_a_problem_is_placed_at_its_value_or_key_or_what_should_hold_it(
    tmp_path: Path, steps: tuple[str | int, ...], at_key: bool, place: tuple[int, int]
) -> None:
    file = tmp_path / "spec.json"
    file.write_bytes(TEXT.encode())
    problem = read(file).problem(steps, "wrong", at_key=at_key)
    assert (problem.line, problem.column) == place


def test_a_pointer_escapes_what_separates_it() -> None:
    assert pointer(("a/b", 0, "c~d")) == "/a~1b/0/c~0d"
    assert pointer(()) == ""
