"""A model's tokenizer: text to ids, and ids to text as they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import tokenizers

from mlcx.artifact import TOKENIZER, TOKENIZER_MODEL
from mlcx.errors import InputError, UsageError
from mlcx.runtime.detokenizer import BYTE_LEVEL, TextDecoder, text_decoder
from mlcx.runtime.vocabulary import FastVocabulary, Vocabulary, read_fast, read_rwkv

__all__ = ["Detokenizer", "Tokenizer", "read"]

_SENTENCEPIECE = "tokenizer.model"
_GPT2 = ("vocab.json", "merges.txt", "added_tokens.json")


class Tokenizer:
    """The tokenizer of a model directory; made by ``read``."""

    def __init__(
        self, vocabulary: Vocabulary, decoder: Callable[[], TextDecoder]
    ) -> None:
        self._vocabulary = vocabulary
        self._decoder = decoder

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return the ids of ``text``.

        Args:
            text: Special tokens spelled out in it become their ids.
            special: Whether to add those that the tokenizer puts around a text.

        Raises:
            UsageError: ``text`` is not Unicode.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            found = text[max(error.start - 12, 0) : error.start + 1]
            what = f"found {found!r}, which ends in a byte that is not UTF-8"
            message = f"expected Unicode text, {what}, or in half of a character"
            raise UsageError(message) from error
        return self._vocabulary.encode(text, special)

    def token_id(self, text: str) -> int | None:
        """Return the id of the token spelled ``text``; None when there is none."""
        return self._vocabulary.token_id(text)

    def piece(self, token: int) -> str | None:
        """Return a token's string; None for special tokens and ids without a token."""
        return self._vocabulary.piece(token)

    def detokenizer(self) -> Detokenizer:
        """Return what turns the tokens of one text into text."""
        return Detokenizer(self, self._decoder())


class Detokenizer:
    """Turns the tokens of one text into text; special tokens are left out.

    The parts that ``push`` and ``finish`` return, laid end to end, are what decoding
    all tokens at once gives, and each part stays as it is.
    """

    def __init__(self, tokenizer: Tokenizer, decoder: TextDecoder) -> None:
        self._tokenizer = tokenizer
        self._decoder = decoder

    def push(self, token: int) -> str:
        """Return the text that one more token makes certain, often an earlier one's."""
        piece = self._tokenizer.piece(token)
        return "" if piece is None else self._decoder.push(piece)

    def finish(self) -> str:
        """Return the rest."""
        return self._decoder.finish()


def read(directory: Path) -> Tokenizer:
    """Return the tokenizer of the model in ``directory``.

    The formats are looked for in the order in which MLC's runtimes do.

    Raises:
        InputError: There is none, or not of a kind that is known.
    """
    file = directory / TOKENIZER
    there = {path.name for path in directory.glob("*") if path.is_file()}
    if TOKENIZER in there:
        return _fast(file)
    if _SENTENCEPIECE in there:
        raise InputError.in_file(
            directory / _SENTENCEPIECE,
            "needs a tokenizer.json beside it: mlcx gen_config makes one of it",
        )
    if there.issuperset(_GPT2):
        return Tokenizer(FastVocabulary(read_fast(directory)), BYTE_LEVEL)
    if TOKENIZER_MODEL in there:
        return Tokenizer(read_rwkv(directory), BYTE_LEVEL)
    raise InputError.in_file(
        file, "no tokenizer: expected one, as mlcx gen_config copies it"
    )


def _fast(file: Path) -> Tokenizer:
    try:
        inner = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise InputError.in_file(file, f"not a tokenizer: {error}") from error
    decoder = inner.decoder
    state = None if decoder is None else json.loads(decoder.__getstate__())
    return Tokenizer(FastVocabulary(inner), text_decoder(file, state))
