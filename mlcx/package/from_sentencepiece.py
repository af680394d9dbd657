"""A tokenizer.json of SentencePiece's ``tokenizer.model``.

Both give the same ids for the same text: BPE merges the two neighbours whose union
scores best, which is a list of merges by falling score; unigram models are the same in
both. Two differences remain. tokenizer.json splits a text at its special tokens first,
SentencePiece does not know them. And in a model with symbols that its user defined, a
text that begins with one of them, or with a space, has no space put before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.errors import InputError
from mlcx.package.sentencepiece_model import (
    BPE,
    UNIGRAM,
    Kind,
    SentencePieceModel,
    read_model,
)

__all__ = ["tokenizer_json"]

_SPACE = "\u2581"
_EXTRA_SPACES = r"\A +| +\z| +(?= )"
_ADDED = "added_tokens.json"
_CONFIG = "tokenizer_config.json"
_REMEDY = "download it again"
_ID = re.compile("[0-9]{1,9}")
_NEVER = -1e6
"""Score of pieces that are no text: worse than any path through a text."""


def tokenizer_json(checkpoint: Path) -> str:
    """Return a tokenizer.json for the tokenizer.model in ``checkpoint``.

    Tokens beyond the model's are taken from added_tokens.json and
    tokenizer_config.json, and from the latter whether a text begins with a token, and
    whether with a space.

    Raises:
        InputError: The model is damaged or of a kind that tokenizer.json does not have,
            or what adds to it is damaged.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415 (only when there is one)

    path = checkpoint / "tokenizer.model"
    model, config = read_model(path), _optional(checkpoint / _CONFIG)
    if config.get("add_prefix_space") is False:
        model = replace(model, add_dummy_prefix=False)
    spaced = model.escape_whitespaces and not model.whitespace_as_suffix
    if model.algorithm not in (UNIGRAM, BPE) or not spaced:
        raise InputError.in_file(
            path,
            f"expected a BPE or unigram model with spaces before words, as {_SPACE}; "
            "add a tokenizer.json to the checkpoint",
        )
    tokenizer = Tokenizer(
        _unigram(model) if model.algorithm == UNIGRAM else _bpe(model)
    )
    _prepare_text(tokenizer, model, path)
    tokenizer.decoder = _decoder(model)
    _add_tokens(tokenizer, model, _declared(checkpoint, config), path)
    _surround(tokenizer, model, config)
    return str(tokenizer.to_str(pretty=True))


def _bpe(model: SentencePieceModel) -> Any:
    from tokenizers import models  # noqa: PLC0415

    vocabulary = {piece.text: index for index, piece in enumerate(model.pieces)}
    normal = [piece for piece in model.pieces if piece.kind == Kind.NORMAL]
    normal.sort(key=lambda piece: -piece.score)
    merges = [
        pair for piece in normal for pair in sorted(_halves(piece.text, vocabulary))
    ]
    return models.BPE(
        vocabulary,
        [(left, right) for _, _, left, right in merges],
        unk_token=_unknown(model),
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
    )


def _halves(
    text: str, vocabulary: dict[str, int]
) -> Iterator[tuple[int, int, str, str]]:
    """Yield the ids and texts of each two tokens that make up ``text``."""
    for cut in range(1, len(text)):
        left, right = text[:cut], text[cut:]
        if left in vocabulary and right in vocabulary:
            yield vocabulary[left], vocabulary[right], left, right


def _unigram(model: SentencePieceModel) -> Any:
    from tokenizers import models  # noqa: PLC0415

    text = (Kind.NORMAL, Kind.USER_DEFINED)
    scores = [
        (piece.text, piece.score if piece.kind in text else _NEVER)
        for piece in model.pieces
    ]
    unknown = _unknown(model)
    unknown_id = next(i for i, (text, _) in enumerate(scores) if text == unknown)
    return models.Unigram(scores, unknown_id, model.byte_fallback)


def _unknown(model: SentencePieceModel) -> str:
    return next(each.text for each in model.pieces if each.kind == Kind.UNKNOWN)


def _prepare_text(tokenizer: Any, model: SentencePieceModel, path: Path) -> None:
    """Let the text become what SentencePiece's normalizer makes of it."""
    from tokenizers import Regex, normalizers, pre_tokenizers  # noqa: PLC0415

    steps: list[Any] = []
    if model.charsmap:
        steps.append(_precompiled(model.charsmap, path))
    if model.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(_EXTRA_SPACES), ""))
    if any(piece.kind == Kind.USER_DEFINED for piece in model.pieces):
        # These split a text, of which only the first part gets a space.
        scheme = "first" if model.add_dummy_prefix else "never"
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, scheme, split=False)
    else:
        if model.add_dummy_prefix:
            steps.append(normalizers.Prepend(_SPACE))
        steps.append(normalizers.Replace(" ", _SPACE))
    tokenizer.normalizer = normalizers.Sequence(steps)


def _precompiled(charsmap: bytes, path: Path) -> Any:
    from tokenizers import normalizers  # noqa: PLC0415

    try:
        return normalizers.Precompiled(charsmap)
    except Exception as error:  # the library raises nothing narrower
        message = f"not a SentencePiece model: {error}"
        raise InputError.in_file(path, message) from error


def _decoder(model: SentencePieceModel) -> Any:
    from tokenizers import decoders  # noqa: PLC0415

    steps: list[Any] = [decoders.Replace(_SPACE, " ")]
    if model.byte_fallback:
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if model.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _declared(checkpoint: Path, config: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the tokens that a checkpoint adds to the model, by id.

    Raises:
        InputError: They are not declared as transformers does.
    """
    plain = _optional(checkpoint / _ADDED)
    if not all(type(index) is int for index in plain.values()):
        message = "expected tokens, each with its id, a whole number"
        raise InputError.in_file(checkpoint / _ADDED, f"{message}; {_REMEDY}")
    listed = config.get("added_tokens_decoder", {})
    if not (isinstance(listed, dict) and all(map(_is_token, listed, listed.values()))):
        message = 'added_tokens_decoder: expected ids, each with {"content": "…"}'
        raise InputError.in_file(checkpoint / _CONFIG, f"{message}; {_REMEDY}")
    added = {index: {"content": text} for text, index in plain.items()}
    return added | {int(index): token for index, token in listed.items()}


def _is_token(index: str, token: object) -> bool:
    texts = isinstance(token, dict) and isinstance(token.get("content"), str)
    return texts and bool(_ID.fullmatch(index))


def _add_tokens(
    tokenizer: Any,
    model: SentencePieceModel,
    declared: dict[int, dict[str, Any]],
    path: Path,
) -> None:
    from tokenizers import AddedToken  # noqa: PLC0415

    own = {
        index: {"content": piece.text, "special": piece.kind != Kind.USER_DEFINED}
        for index, piece in enumerate(model.pieces)
        if piece.kind in (Kind.UNKNOWN, Kind.CONTROL, Kind.USER_DEFINED)
    }
    for index, token in sorted((own | declared).items()):
        flags = {flag: bool(token.get(flag, False)) for flag in _FLAGS}
        tokenizer.add_tokens([AddedToken(token["content"], **flags)])
        found = tokenizer.token_to_id(token["content"])
        if found != index:
            raise InputError.in_file(
                path,
                f"the token {token['content']!r} is declared with id {index} beside "
                f"it, but would have {found}",
            )


_FLAGS = ("special", "lstrip", "rstrip", "single_word", "normalized")


def _surround(
    tokenizer: Any, model: SentencePieceModel, config: dict[str, Any]
) -> None:
    """Put the tokens for beginning and end around a text, as Llama's does."""
    from tokenizers import processors  # noqa: PLC0415

    begins = model.bos_id >= 0 and bool(config.get("add_bos_token", True))
    ends = model.eos_id >= 0 and bool(config.get("add_eos_token", False))
    used = [*[model.bos_id] * begins, *[model.eos_id] * ends]
    if not used:
        return
    names = [model.pieces[index].text for index in used]
    pattern = " ".join([*names[:1] * begins, "$A", *names[-1:] * ends])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=pattern, special_tokens=list(zip(names, used, strict=True))
    )
