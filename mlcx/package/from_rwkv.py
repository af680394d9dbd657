"""``tokenizer_model`` of RWKV's vocabulary, ``rwkv_vocab_v<date>.txt`` or json."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mlcx.artifact import read_json, refuse_pointer
from mlcx.errors import InputError, Problem

__all__ = ["tokenizer_model"]

_IDS = 1 << 32
_LITERAL = re.compile(r"""b?(?:'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")""")


def tokenizer_model(path: Path) -> bytes:
    """Return the MessagePack map of token ids to bytes that MLC's runtimes read.

    Raises:
        InputError: A line is not what it must be, or an id or a token is there twice.
    """
    import msgpack  # noqa: PLC0415 (only when there is one)

    tokens = _json(path) if path.suffix == ".json" else _text(path)
    if not all(0 <= index < _IDS for index in tokens):
        raise InputError.in_file(path, f"expected ids from 0 to {_IDS - 1}")
    if len(set(tokens.values())) < len(tokens):
        raise InputError.in_file(path, "expected each token once, found some twice")
    packed: bytes = msgpack.packb(tokens)
    return packed


def _json(path: Path) -> dict[int, bytes]:
    """Read an object of texts and their ids."""
    content = read_json(path)
    try:
        tokens = {i: text.encode() for text, i in content.items() if type(i) is int}
    except UnicodeEncodeError as error:
        raise InputError.in_file(path, f"not a token: {error}") from error
    if len(tokens) < len(content):
        raise InputError.in_file(path, "expected texts and ids, each id once")
    return tokens


def _text(path: Path) -> dict[int, bytes]:
    """Read lines of an id, a Python literal of a text or of bytes, and its length."""
    refuse_pointer(path)
    tokens: dict[int, bytes] = {}
    for number, line in enumerate(path.read_bytes().rstrip(b"\n").split(b"\n"), 1):
        try:
            index, token = _line(line.decode())
        except (ValueError, SyntaxError) as error:
            raise _problem(path, number, str(error)) from error
        if index in tokens:
            raise _problem(path, number, f"the id {index} is there twice")
        tokens[index] = token
    return tokens


def _line(line: str) -> tuple[int, bytes]:
    index, rest = line.strip().split(" ", 1)
    literal, length = rest.rsplit(" ", 1)
    if not _LITERAL.fullmatch(literal.strip()):  # Python would read any expression
        raise ValueError(f"expected a text or bytes, found {literal[:40]}")
    value: str | bytes = ast.literal_eval(literal.strip())
    token = value.encode() if isinstance(value, str) else value
    if len(token) != int(length):
        raise ValueError(f"expected {int(length)} bytes, found {len(token)}")
    return int(index), token


def _problem(path: Path, line: int, message: str) -> InputError:
    return InputError(Problem(str(path), line, 1, f"not a token: {message}"))
