"""A checkpoint's tokenizer: which files a model directory needs and what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.errors import InputError

__all__ = ["TOKENIZER_FILES", "TokenizerFiles", "inspect"]

TOKENIZER_FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
"""What is copied, in the order in which mlc-chat-config.json lists it."""

_FAST = "tokenizer.json"
_TO_FAST = (
    "make one with transformers: "
    "AutoTokenizer.from_pretrained(DIR, use_fast=True).save_pretrained(DIR)"
)


@dataclass(frozen=True)
class TokenizerFiles:
    """What mlc-chat-config.json says about a tokenizer."""

    files: tuple[str, ...]
    """Names of those of ``TOKENIZER_FILES`` that are there."""
    info: dict[str, str | bool]
    """The object ``tokenizer_info``."""
    size: int | None
    """Number of tokens, with the added ones; None without a tokenizer.json."""


def inspect(source: Path, warn: Callable[[str], None]) -> TokenizerFiles:
    """Return what the tokenizer files in the directory ``source`` are and say.

    Args:
        source: A checkpoint.
        warn: Told when what is there is not enough for every runtime.

    Raises:
        InputError: tokenizer.json is not one, or names a token twice.
    """
    files = tuple(name for name in TOKENIZER_FILES if (source / name).is_file())
    path = source / _FAST
    if _FAST not in files:
        if "tokenizer.model" in files:
            found = "only a SentencePiece model; mlcx and Android need a tokenizer.json"
            warn(f"{source}: found {found}: {_TO_FAST}")
        else:
            warn(f"{source}: found no tokenizer.json; the model cannot take text")
        return TokenizerFiles(files, _info({}), None)
    content = read_json(path)
    size = _size(path)  # the library checks the file's structure, too
    _check_added_tokens(path, content)
    return TokenizerFiles(files, _info(content), size)


def _check_added_tokens(path: Path, content: dict[str, Any]) -> None:
    added = content.get("added_tokens") or []
    counts = Counter(token["content"] for token in added)
    twice = [text for text, count in counts.items() if count > 1]
    if twice:
        named = ", ".join(map(repr, twice))
        message = f"added_tokens: expected each once, found more of {named}"
        raise InputError.in_file(path, message)


def _size(path: Path) -> int:
    from tokenizers import Tokenizer  # noqa: PLC0415 (only when there is one)

    try:
        return int(
            Tokenizer.from_file(str(path)).get_vocab_size(with_added_tokens=True)
        )
    except Exception as error:  # the library raises nothing narrower
        raise InputError.in_file(path, f"not a tokenizer: {error}") from error


def _info(content: dict[str, Any]) -> dict[str, str | bool]:
    """Return ``tokenizer_info`` of a tokenizer.json, as MLC detects it."""
    methods = {"ByteLevel": "byte_level", "ByteFallback": "byte_fallback"}
    decoders = list(_steps(content.get("decoder"), "decoders"))
    found = [methods[each["type"]] for each in decoders if each.get("type") in methods]
    normalizers = _steps(content.get("normalizer"), "normalizers")
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    prepend = {"type": "Prepend", "prepend": "\u2581"}
    return {
        "token_postproc_method": found[-1] if found else "byte_fallback",
        "prepend_space_in_encode": any(
            prepend.items() <= s.items() for s in normalizers
        ),
        "strip_space_in_decode": any(
            strip.items() <= step.items() for step in decoders
        ),
    }


def _steps(component: object, parts: str) -> Iterator[dict[str, Any]]:
    """Yield the steps of a normalizer or decoder: its ``parts``, or itself."""
    if isinstance(component, dict):
        is_sequence = component.get("type") == "Sequence"
        yield from component.get(parts, []) if is_sequence else [component]
