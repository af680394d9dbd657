"""The files of a fast tokenizer, of ``*.tiktoken``: byte sequences and their ranks.

The ranks alone are no tokenizer: how a text is split into words, and which special
tokens follow the ranks, is code in these checkpoints. It is data here, for the
tokenizers that are known, so that no checkpoint's code runs.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from pathlib import Path
from typing import Any

from mlcx.artifact import TOKENIZER, byte_characters, read_json, refuse_pointer
from mlcx.errors import InputError, Problem

__all__ = ["tokenizer_files"]

_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What is a word: contractions, letters, single digits, punctuation, white space."""

_END = "<|endoftext|>"
_SPECIAL = {
    "QWenTokenizer": (
        *(_END, "<|im_start|>", "<|im_end|>"),
        *(f"<|extra_{number}|>" for number in range(205)),
    )
}
"""By ``tokenizer_class`` of tokenizer_config.json: the tokens that follow the ranks."""


def tokenizer_files(path: Path) -> dict[str, str]:
    """Return name and text of the files that stand for the ranks in ``path``.

    The ids are those that tiktoken gives for the text in Unicode's normal form C.

    Raises:
        InputError: The ranks are damaged, or the tokenizer is not one that is known.
    """
    special = _special(path.with_name("tokenizer_config.json"))
    ranks = _read(path)
    added = {text: len(ranks) + n for n, text in enumerate(special)}
    vocabulary = {_spelled(token): rank for token, rank in ranks.items()} | added
    merges = [(_spelled(left), _spelled(right)) for left, right in _merges(ranks, path)]
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    roles = dict.fromkeys(("bos_token", "eos_token", "unk_token"), _END)
    return {
        TOKENIZER: _tokenizer(vocabulary, merges, special),
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False, indent=2),
        "merges.txt": "\n".join(lines) + "\n",
        "special_tokens_map.json": json.dumps(roles, indent=2),
    }


def _special(config: Path) -> tuple[str, ...]:
    name = read_json(config).get("tokenizer_class")
    if not isinstance(name, str) or name not in _SPECIAL:
        raise InputError.in_file(
            config,
            f"tokenizer_class: expected {' or '.join(_SPECIAL)}, found {name!r}, whose "
            "tiktoken file is not known; add a tokenizer.json to the checkpoint",
        )
    return _SPECIAL[name]


def _read(path: Path) -> dict[bytes, int]:
    """Return the rank of each sequence; every single byte has one."""
    refuse_pointer(path)
    lines = path.read_bytes().splitlines()
    ranks = dict(_rank(path, number, line) for number, line in enumerate(lines, 1))
    if sorted(ranks.values()) != list(range(len(lines))):
        raise InputError.in_file(path, "expected each sequence and rank, from 0, once")
    if not all(bytes([byte]) in ranks for byte in range(256)):
        raise InputError.in_file(path, "expected a rank of every byte, found fewer")
    return ranks


def _rank(path: Path, number: int, line: bytes) -> tuple[bytes, int]:
    try:
        token, rank = line.split()
        return base64.b64decode(token, validate=True), int(rank)
    except (ValueError, binascii.Error) as error:
        message = f"expected base64 and a rank, found {line[:40]!r}"
        raise InputError(Problem(str(path), number, 1, message)) from error


def _merges(ranks: dict[bytes, int], path: Path) -> list[tuple[bytes, bytes]]:
    """Return which two sequences make up each one of more than a byte, by rank.

    They are what is left of its bytes when every merge of a lower rank is done.
    """
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        if len(token) == 1:
            continue
        parts = _merged(token, ranks)
        if len(parts) != 2:
            message = f"rank {ranks[token]}, {token!r}: cannot be made of lower ranks"
            raise InputError.in_file(path, message)
        merges.append((parts[0], parts[1]))
    return merges


def _merged(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """Return the parts of ``token`` before the merge that makes it whole."""
    parts = [token[at : at + 1] for at in range(len(token))]
    limit = ranks[token]
    while len(parts) > 2:
        unions = (ranks.get(a + b, limit) for a, b in itertools.pairwise(parts))
        rank, at = min((rank, at) for at, rank in enumerate(unions))
        if rank >= limit:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _spelled(token: bytes) -> str:
    return "".join(map(byte_characters().__getitem__, token))


def _tokenizer(
    vocabulary: dict[str, int],
    merges: list[tuple[str, str]],
    special: tuple[str, ...],
) -> str:
    from tokenizers import (  # noqa: PLC0415 (only when there is one)
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
    )

    tokenizer: Any = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in special]
    )
    return str(tokenizer.to_str(pretty=True))
