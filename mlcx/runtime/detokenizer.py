"""From token strings to text, piece by piece, equal to decoding all of them at once.

What a piece gives may depend on those before and after: a character's bytes are spread
over tokens, and a sentence's first space is dropped. So text is given out only when no
later piece can change it; replacement characters appear only where the whole text has
them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

from mlcx.artifact import byte_characters
from mlcx.errors import InputError

__all__ = ["BYTE_LEVEL", "TextDecoder", "text_decoder"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


class TextDecoder(Protocol):
    """Decodes the pieces of one text."""

    def push(self, piece: str) -> str:
        """Take a token's string and return the text that is now certain."""

    def finish(self) -> str:
        """Return the text that was still open; nothing may be pushed after."""


class _ByteLevel:
    """Pieces spell each byte as one printable character, as in GPT-2's vocabulary."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, piece: str) -> str:
        """Decode the characters that are complete."""
        table = _bytes_of_characters()
        try:
            data = bytes(table[character] for character in piece)
        except KeyError:
            data = piece.encode()
        return self._utf8.decode(data)

    def finish(self) -> str:
        """Replace the character that was begun, if any."""
        return self._utf8.decode(b"", final=True)


BYTE_LEVEL: Callable[[], TextDecoder] = _ByteLevel
"""Makes a decoder of pieces that spell each byte as one character."""


@cache
def _bytes_of_characters() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_characters())}


class _ByteFallback:
    """Pieces are text, or single bytes such as <0x0A> for what the vocabulary lacks.

    A run of byte pieces is text only if the whole run is UTF-8, else each of its bytes
    is a replacement character: so a run is held until it ends.

    Args:
        bytes_too: Whether byte pieces mean bytes; else they are plain text.
        rewrite: Changes a text piece; told whether it is the first of all pieces.
        strip: A character, and how many of it to drop from the front of the text.
    """

    def __init__(
        self,
        bytes_too: bool,
        rewrite: Callable[[str, bool], str],
        strip: tuple[str, int],
    ) -> None:
        self._bytes_too = bytes_too
        self._rewrite = rewrite
        self._strip, self._strippable = strip
        self._first = True
        self._run = bytearray()

    def push(self, piece: str) -> str:
        """Decode a text piece, and the bytes before it."""
        match = _BYTE.fullmatch(piece) if self._bytes_too else None
        first, self._first = self._first, False
        if match:
            self._run.append(int(match[1], 16))
            return ""
        return self._stripped(self._end_run() + self._rewrite(piece, first))

    def finish(self) -> str:
        """Decode the bytes at the end."""
        return self._stripped(self._end_run())

    def _end_run(self) -> str:
        run, self._run = bytes(self._run), bytearray()
        try:
            return run.decode()
        except UnicodeDecodeError:
            return _REPLACEMENT * len(run)

    def _stripped(self, text: str) -> str:
        while self._strippable and text:
            if not text.startswith(self._strip):
                self._strippable = 0
                break
            text = text[1:]
            self._strippable -= 1
        return text


def text_decoder(
    file: object, decoder: dict[str, Any] | None
) -> Callable[[], TextDecoder]:
    """Return what makes a TextDecoder for each text.

    Args:
        file: The tokenizer's, for messages.
        decoder: ``decoder`` of tokenizer.json.

    Raises:
        InputError: The decoder is of a kind that is not known.
    """
    steps = _steps(decoder)
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"]:
        return BYTE_LEVEL
    if kinds == ["Metaspace"]:
        rewrite = _metaspace(steps[0])
        return lambda: _ByteFallback(False, rewrite, ("", 0))
    order = [kind for kind in _ORDER if kind in kinds]
    strip = steps[-1] if kinds[-1:] == ["Strip"] else None
    replaced = _replacement(steps)
    fused = strip is None or ("Fuse" in kinds and strip["stop"] == 0)
    if not kinds or kinds != order or replaced is None or not fused:
        raise InputError.in_file(
            file,
            f"decoder {' + '.join(kinds) or 'none'} is not known: expected ByteLevel, "
            "Metaspace, or a sequence of Replace, ByteFallback, Fuse and Strip",
        )
    front = (strip["content"], strip["start"]) if strip else ("", 0)
    return lambda: _ByteFallback("ByteFallback" in kinds, replaced, front)


_ORDER = ("Replace", "ByteFallback", "Fuse", "Strip")


def _steps(decoder: dict[str, Any] | None) -> Sequence[dict[str, Any]]:
    if decoder is None:
        return []
    if decoder["type"] != "Sequence":
        return [decoder]
    return [step for inner in decoder["decoders"] for step in _steps(inner)]


def _replacement(steps: Sequence[dict[str, Any]]) -> Callable[[str, bool], str] | None:
    """Return what the Replace step does; None when it is not a plain string's."""
    step = next((step for step in steps if step["type"] == "Replace"), None)
    if step is None:
        return lambda piece, first: piece
    old, new = step["pattern"].get("String"), step["content"]
    return old and (lambda piece, first: piece.replace(old, new))


def _metaspace(step: dict[str, Any]) -> Callable[[str, bool], str]:
    mark, keeps = step["replacement"], step["prepend_scheme"] == "never"
    return lambda piece, first: piece.replace(mark, "" if first and not keeps else " ")
