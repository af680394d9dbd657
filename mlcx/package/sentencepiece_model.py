"""SentencePiece's ``tokenizer.model``, read without its library.

The file is one Protocol Buffers message, ModelProto of sentencepiece_model.proto; the
field numbers here are those of that schema. The library does not tell all of it, and a
build must know beforehand, without extras, which files it will make.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from mlcx.artifact import refuse_pointer
from mlcx.errors import InputError

__all__ = ["BPE", "UNIGRAM", "Kind", "Piece", "SentencePieceModel", "read_model"]

UNIGRAM = 1
BPE = 2
"""The values of TrainerSpec.model_type that are in use for language models."""

_Value = int | bytes


class Kind(IntEnum):
    """What a piece of the vocabulary stands for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """One token; its id is its place."""

    text: str
    score: float
    kind: Kind


@dataclass(frozen=True)
class SentencePieceModel:
    """The vocabulary, and how a text is prepared for it."""

    pieces: tuple[Piece, ...]
    algorithm: int
    byte_fallback: bool
    bos_id: int
    """-1: the model has no token for the beginning of a text."""
    eos_id: int
    charsmap: bytes
    """Replacements of characters, compiled; empty for none."""
    add_dummy_prefix: bool
    """Whether a text begins with a space that is not in it."""
    remove_extra_whitespaces: bool
    escape_whitespaces: bool
    """Whether pieces have U+2581 for a space."""
    whitespace_as_suffix: bool
    """Whether words end with their space instead of beginning with it."""


def read_model(path: Path) -> SentencePieceModel:
    """Return what the file says.

    Raises:
        InputError: It is not a SentencePiece model.
    """
    refuse_pointer(path)
    try:
        model = _message(path.read_bytes())
        pieces = tuple(map(_piece, model[1]))
        trainer, normalizer = (_message(_last(model, n, b"")) for n in (2, 3))
        found = _model(pieces, trainer, normalizer)
        _check(found)
        return found
    except OSError as error:
        raise InputError.in_file(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise InputError.in_file(path, f"not a SentencePiece model: {error}") from error


def _model(
    pieces: tuple[Piece, ...],
    trainer: dict[int, list[_Value]],
    normalizer: dict[int, list[_Value]],
) -> SentencePieceModel:
    return SentencePieceModel(
        pieces,
        algorithm=_last(trainer, 3, UNIGRAM),
        byte_fallback=bool(_last(trainer, 35, 0)),
        bos_id=_signed(_last(trainer, 41, 1)),
        eos_id=_signed(_last(trainer, 42, 2)),
        charsmap=_last(normalizer, 2, b""),
        add_dummy_prefix=bool(_last(normalizer, 3, 1)),
        remove_extra_whitespaces=bool(_last(normalizer, 4, 1)),
        escape_whitespaces=bool(_last(normalizer, 5, 1)),
        whitespace_as_suffix=bool(_last(trainer, 24, 0)),
    )


def _check(model: SentencePieceModel) -> None:
    """Raise a ValueError where SentencePiece would refuse the pieces, or lack one."""
    texts = {piece.text for piece in model.pieces}
    if len(texts) < len(model.pieces) or "" in texts:
        raise ValueError("expected pieces that differ, found two alike or an empty one")
    unknown = [piece for piece in model.pieces if piece.kind == Kind.UNKNOWN]
    if len(unknown) != 1:
        raise ValueError(f"expected one piece for the unknown, found {len(unknown)}")
    for name, index in (("bos_id", model.bos_id), ("eos_id", model.eos_id)):
        if index >= len(model.pieces):
            raise ValueError(f"{name} is {index}, beyond {len(model.pieces)} pieces")


def _piece(data: _Value) -> Piece:
    if not isinstance(data, bytes):
        raise TypeError("a piece is a number")
    fields = _message(data)
    (score,) = struct.unpack("<f", _last(fields, 2, bytes(4)))
    return Piece(_last(fields, 1, b"").decode(), score, Kind(_last(fields, 3, 1)))


_T = TypeVar("_T", int, bytes)


def _last(fields: dict[int, list[_Value]], number: int, default: _T) -> _T:
    """Return the last value of a field, as the format asks for; else ``default``."""
    value = fields[number][-1] if number in fields else default
    if not isinstance(value, type(default)):
        raise TypeError(f"field {number} is of a wrong type")
    return value


def _message(data: bytes) -> dict[int, list[_Value]]:
    """Return the values of each field of a message, by its number."""
    fields: dict[int, list[_Value]] = defaultdict(list)
    for number, value in _fields(data):
        fields[number].append(value)
    return fields


def _fields(data: bytes) -> Iterator[tuple[int, _Value]]:
    """Yield number and value of each field: an integer, or the bytes of the rest."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(data):
            raise ValueError(f"cut off at byte {len(data)}")
        yield tag >> 3, data[at : at + size]
        at += size


_FIXED = {1: 8, 5: 4}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at ``at``, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"an integer without end at byte {at}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
