"""A checkpoint's tokenizer: which files a model directory needs and what they say.

MLC's runtimes read tokenizer.json, or RWKV's ``tokenizer_model``; checkpoints with
another format are converted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlcx.artifact import (
    TOKENIZER,
    TOKENIZER_MODEL,
    TokenizerNames,
    read_json,
    tokenizer_names,
)
from mlcx.errors import InputError
from mlcx.package import from_rwkv, from_sentencepiece, from_tiktoken

__all__ = ["TokenizerFiles", "inspect"]

_VOCABULARY = {"vocab.json", "merges.txt", "added_tokens.json"}
"""What MLC's runtimes can do with instead of a tokenizer.json, all three together."""


@dataclass(frozen=True)
class TokenizerFiles:
    """What a model directory has of a tokenizer, and what its config says of it."""

    files: tuple[str, ...]
    """Names of all, in the order of the config."""
    info: dict[str, str | bool]
    """The object ``tokenizer_info``."""
    size: int | None
    """Number of tokens, with the added ones; None without a tokenizer.json."""
    begin: tuple[int, ...] = ()
    """Ids that the tokenizer puts before any text."""
    made: Mapping[str, bytes] = field(default_factory=dict)
    """Content of those of ``files`` that the checkpoint lacks."""


def inspect(source: Path, warn: Callable[[str], None]) -> TokenizerFiles:
    """Return what the tokenizer files in the directory ``source`` are and say.

    Args:
        source: A checkpoint.
        warn: Told when there is no tokenizer for the runtimes.

    Raises:
        InputError: The tokenizer is damaged, names a token twice, or is of a format
            that cannot be converted.
    """
    names = tokenizer_names(source)
    made = _made(source, names)
    path = source / (names.source or TOKENIZER)
    if TOKENIZER in made:
        content = json.loads(made[TOKENIZER])
    elif TOKENIZER in names.copied:
        content = read_json(path)
    else:
        if not (made or {*names.copied} >= _VOCABULARY):
            warn(f"{source}: found no tokenizer.json; the model cannot take text")
        return TokenizerFiles(names.all, _info({}), None, made=made)
    # The library checks the structure, too.
    size, begin = _measured(path, made.get(TOKENIZER))
    _check_added_tokens(path, content)
    return TokenizerFiles(names.all, _info(content), size, begin, made)


def _made(source: Path, names: TokenizerNames) -> dict[str, bytes]:
    """Return the content of the files that are converted."""
    if names.source is None:
        return {}
    path = source / names.source
    if TOKENIZER_MODEL in names.made:
        return {TOKENIZER_MODEL: from_rwkv.tokenizer_model(path)}
    if path.suffix == ".tiktoken":
        texts = from_tiktoken.tokenizer_files(path)
    else:
        texts = {TOKENIZER: from_sentencepiece.tokenizer_json(source)}
    return {name: text.encode() for name, text in texts.items()}


def _check_added_tokens(path: Path, content: dict[str, Any]) -> None:
    added = content.get("added_tokens") or []
    counts = Counter(token["content"] for token in added)
    twice = [text for text, count in counts.items() if count > 1]
    if twice:
        named = ", ".join(map(repr, twice))
        message = f"added_tokens: expected each once, found more of {named}"
        raise InputError.in_file(path, message)


def _measured(path: Path, made: bytes | None) -> tuple[int, tuple[int, ...]]:
    """Return how many tokens there are, and those that begin every text."""
    from tokenizers import Tokenizer  # noqa: PLC0415 (only when there is one)

    try:
        tokenizer = Tokenizer.from_buffer(path.read_bytes() if made is None else made)
        size = int(tokenizer.get_vocab_size(with_added_tokens=True))
        return size, tuple(tokenizer.encode("").ids)
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
