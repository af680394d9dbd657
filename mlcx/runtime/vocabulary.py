"""What tokens a model has, in each of the formats that a model directory may hold."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import tokenizers

from mlcx.artifact import TOKENIZER_MODEL, byte_characters, read_json
from mlcx.errors import InputError

__all__ = ["FastVocabulary", "RwkvVocabulary", "Vocabulary", "read_fast", "read_rwkv"]


class Vocabulary(Protocol):
    """Tokens by id and by text, and how a text is cut into them."""

    def encode(self, text: str, special: bool) -> list[int]:
        """Return the ids of ``text``, with those that go around it if ``special``."""

    def token_id(self, text: str) -> int | None:
        """Return the id of the token spelled ``text``; None when there is none."""

    def piece(self, token: int) -> str | None:
        """Return a token's string; None for special tokens and ids without a token."""


class FastVocabulary:
    """One of the library ``tokenizers``."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        added = inner.get_added_tokens_decoder().values()
        self._special = frozenset(token.content for token in added if token.special)

    def encode(self, text: str, special: bool) -> list[int]:
        """Return the ids of ``text``; special tokens spelled in it become theirs."""
        ids: list[int] = self._inner.encode(text, add_special_tokens=special).ids
        return ids

    def token_id(self, text: str) -> int | None:
        """Return the id of the token spelled ``text``, as the file spells it."""
        found: int | None = self._inner.token_to_id(text)
        return found

    def piece(self, token: int) -> str | None:
        """Return a token's string, as the file spells it."""
        piece: str | None = self._inner.id_to_token(token)
        return None if piece in self._special else piece


class RwkvVocabulary:
    """RWKV's: at each place the longest token that the text goes on with.

    It has no special tokens; id 0, which ends a text, has no spelling.

    Args:
        tokens: The bytes of each id, among them every single byte.
    """

    def __init__(self, tokens: Mapping[int, bytes]) -> None:
        self._tokens = dict(tokens)
        self._ids = {token: index for index, token in tokens.items()}
        lengths: dict[bytes, set[int]] = defaultdict(set)
        for token in tokens.values():
            lengths[token[:2]].add(len(token))
        self._lengths = {
            start: sorted(found, reverse=True) for start, found in lengths.items()
        }
        """Lengths of the tokens that begin with these two bytes, falling."""

    def encode(self, text: str, special: bool) -> list[int]:
        """Return the ids of ``text``; nothing goes around it."""
        data = text.encode()
        ids, at = [], 0
        while at < len(data):
            for length in self._lengths.get(data[at : at + 2], ()):
                found = self._ids.get(data[at : at + length])
                if found is not None:
                    break
            else:
                found, length = self._ids[data[at : at + 1]], 1
            ids.append(found)
            at += length
        return ids

    def token_id(self, text: str) -> int | None:
        """Return the id of the token whose bytes are those of ``text``."""
        return self._ids.get(text.encode())

    def piece(self, token: int) -> str | None:
        """Return a token's bytes, spelled as in a byte-level vocabulary."""
        data = self._tokens.get(token)
        if data is None:
            return None
        return "".join(map(byte_characters().__getitem__, data))


def read_fast(directory: Path) -> tokenizers.Tokenizer:
    """Return a byte-level tokenizer of vocab.json, merges.txt and added_tokens.json.

    It splits words as GPT-2's, whose files these are.

    Raises:
        InputError: A file is damaged.
    """
    vocabulary = directory / "vocab.json"
    try:
        model = tokenizers.models.BPE.from_file(
            str(vocabulary), str(directory / "merges.txt")
        )
    except Exception as error:  # the library raises nothing narrower
        raise InputError.in_file(vocabulary, f"not a tokenizer: {error}") from error
    library = tokenizers.Tokenizer(model)
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    file = directory / "added_tokens.json"
    added = _added(file)
    library.add_special_tokens(sorted(added, key=added.__getitem__))
    wrong = [text for text, i in added.items() if library.token_to_id(text) != i]
    if wrong:
        message = f"ids of {', '.join(wrong)} do not follow those of vocab.json"
        raise InputError.in_file(file, message)
    return library


def _added(file: Path) -> dict[str, int]:
    added = read_json(file)
    for text, index in added.items():
        if type(index) is not int:
            message = f"{text}: expected the token's id, a whole number, found "
            raise InputError.in_file(file, f"{message}{json.dumps(index)[:40]}")
        if any("\ud800" <= each <= "\udfff" for each in text):
            message = f"{json.dumps(text)[:40]}: expected Unicode text, found a part"
            raise InputError.in_file(file, f"{message} of a character")
    return added


def read_rwkv(directory: Path) -> RwkvVocabulary:
    """Return the vocabulary in ``tokenizer_model``.

    Raises:
        InputError: The file is damaged, or lacks a byte.
    """
    import msgpack  # noqa: PLC0415 (only when there is one)

    file = directory / TOKENIZER_MODEL
    try:
        content = msgpack.unpackb(file.read_bytes(), strict_map_key=False)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise InputError.in_file(file, f"not MessagePack: {error}") from error
    if not _maps_ids_to_bytes(content):
        raise InputError.in_file(file, "expected a map of token ids to bytes")
    if missing := {bytes([byte]) for byte in range(256)} - set(content.values()):
        message = f"expected a token of each byte, found none of {sorted(missing)[:4]}"
        raise InputError.in_file(file, message)
    return RwkvVocabulary(content)


def _maps_ids_to_bytes(content: object) -> bool:
    return isinstance(content, dict) and all(
        type(key) is int and type(value) is bytes for key, value in content.items()
    )
