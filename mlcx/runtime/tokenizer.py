"""A model's tokenizer: text to ids, and ids to text as they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import tokenizers

from mlcx.errors import InputError
from mlcx.runtime.detokenizer import TextDecoder, text_decoder

__all__ = ["Detokenizer", "Tokenizer", "read"]

_TOKENIZER = "tokenizer.json"


class Tokenizer:
    """The tokenizer in ``tokenizer.json`` of a model directory; made by ``read``."""

    def __init__(
        self, inner: tokenizers.Tokenizer, decoder: Callable[[], TextDecoder]
    ) -> None:
        self._inner = inner
        self._decoder = decoder
        added = inner.get_added_tokens_decoder().values()
        self._special = frozenset(token.content for token in added if token.special)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return the ids of ``text``.

        Args:
            text: Special tokens spelled out in it become their ids.
            special: Whether to add those that the tokenizer puts around a text.
        """
        ids: list[int] = self._inner.encode(text, add_special_tokens=special).ids
        return ids

    def token_id(self, text: str) -> int | None:
        """Return the id of the token spelled ``text``; None when there is none."""
        found: int | None = self._inner.token_to_id(text)
        return found

    def piece(self, token: int) -> str | None:
        """Return a token's string; None for special tokens and ids without a token."""
        piece: str | None = self._inner.id_to_token(token)
        return None if piece in self._special else piece

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

    Raises:
        InputError: There is none, or not of a kind that is known.
    """
    file = directory / _TOKENIZER
    if not file.is_file():
        raise InputError.in_file(
            file, "no tokenizer: expected one, as mlcx gen_config copies it"
        )
    try:
        inner = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise InputError.in_file(file, f"not a tokenizer: {error}") from error
    decoder = inner.decoder
    state = None if decoder is None else json.loads(decoder.__getstate__())
    return Tokenizer(inner, text_decoder(file, state))
