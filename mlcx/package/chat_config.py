"""mlc-chat-config.json: what a runtime reads of a model.

The fields, their order and where they come from are MLC's, so that its runtimes take
the file. Knows no architecture: the model's config comes in as plain data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from mlcx.artifact import (
    CHAT_CONFIG,
    GENERATION_CONFIG,
    QUANTIZATION_RECIPE,
    is_of_tokenizer,
    read_json,
    write_bytes,
    write_json,
)
from mlcx.errors import InputError
from mlcx.package.place import copy
from mlcx.package.tokenizer_files import TokenizerFiles

__all__ = [
    "chat_config",
    "ends_of",
    "generation_defaults",
    "generation_files",
    "write_model_files",
]

_OF_NO_FAMILY = "LM"
_VERSION = "0.1.0"
_ABSENT = -1

_GENERATION: dict[str, int | float] = {
    "temperature": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
    "top_p": 1.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""What a checkpoint may set, and what holds when it does not."""


def generation_files(
    path: Path, config: Mapping[str, Any]
) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return the files that may say how a model generates: that first, its config last.

    Raises:
        InputError: The file beside the config at ``path`` is malformed.
    """
    first = path.with_name(GENERATION_CONFIG)
    return [*([(first, read_json(first))] if first.exists() else []), (path, config)]


def generation_defaults(
    files: Sequence[tuple[Path, Mapping[str, Any]]],
) -> dict[str, Any]:
    """Return how a model generates unless a request says otherwise.

    Args:
        files: As ``generation_files`` returns them: the first wins, null counts as
            absent.

    Raises:
        InputError: A value is not what it must be.
    """
    values: dict[str, Any] = {}
    for key, default in _GENERATION.items():
        values[key] = default
        for path, content in files:
            if content.get(key) is not None:
                values[key] = _checked(path, key, content[key])
                break
    return values


def ends_of(generation: Mapping[str, Any]) -> list[int]:
    """Return the ids that end an answer, of what ``generation_defaults`` returned."""
    ids = generation["eos_token_id"]
    return list(ids) if isinstance(ids, list) else [ids]


def _checked(path: Path, key: str, value: object) -> object:
    if key.endswith("_token_id"):
        ids = value if key == "eos_token_id" and isinstance(value, list) else [value]
        if ids and all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
            return value
        expected = "a token id" + (" or a list of them" if key[0] == "e" else "")
    else:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        expected = "a number"
    message = f"{key!r}: expected {expected}, found {value!r}"
    raise InputError.in_file(path, message)


def chat_config(
    model_type: str,
    quantization: str,
    model_config: Mapping[str, Any],
    conv_template: Mapping[str, Any],
    generation: Mapping[str, Any],
    tokenizer: TokenizerFiles,
    recipe: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of mlc-chat-config.json.

    Args:
        model_type: The architecture.
        quantization: Name of the scheme.
        model_config: The normalized config of the architecture.
        conv_template: A complete template.
        generation: As ``generation_defaults`` returns it.
        tokenizer: What the checkpoint has of one.
        recipe: What declares the scheme where it is mixed; no key of MLC's.
    """
    vocab_size = model_config["vocab_size"]
    tokens = vocab_size if tokenizer.size is None else tokenizer.size
    return {
        "version": _VERSION,
        "model_type": model_type,
        "quantization": quantization,
        **({} if recipe is None else {QUANTIZATION_RECIPE: dict(recipe)}),
        "model_config": dict(model_config),
        "vocab_size": vocab_size,
        "context_window_size": model_config.get("context_window_size", _ABSENT),
        "sliding_window_size": model_config.get("sliding_window_size", _ABSENT),
        "prefill_chunk_size": model_config["prefill_chunk_size"],
        "attention_sink_size": model_config.get("attention_sink_size", _ABSENT),
        "tensor_parallel_shards": model_config["tensor_parallel_shards"],
        "pipeline_parallel_stages": model_config.get("pipeline_parallel_stages", 1),
        "active_vocab_size": min(tokens, vocab_size),
        "temperature": generation["temperature"],
        "presence_penalty": generation["presence_penalty"],
        "frequency_penalty": generation["frequency_penalty"],
        "repetition_penalty": generation["repetition_penalty"],
        "top_p": generation["top_p"],
        "tokenizer_files": list(tokenizer.files),
        "tokenizer_info": tokenizer.info,
        "conv_template": _fitted(conv_template, generation, tokenizer),
        "pad_token_id": generation["pad_token_id"],
        "bos_token_id": generation["bos_token_id"],
        "eos_token_id": generation["eos_token_id"],
        "model_task": "chat",
        "embedding_metadata": None,
    }


def _fitted(
    template: Mapping[str, Any],
    generation: Mapping[str, Any],
    tokenizer: TokenizerFiles,
) -> dict[str, Any]:
    """Return the template; that of no family gets the model's own first and last ids.

    MLC's ``LM`` has those of Llama 2, which are everyday tokens of other models.
    """
    if template["name"] != _OF_NO_FAMILY:
        return dict(template)
    fitted = {**template, "stop_token_ids": ends_of(generation)}
    if tokenizer.size is not None:
        fitted["system_prefix_token_ids"] = list(tokenizer.begin) or None
    return fitted


def write_model_files(
    config: Mapping[str, Any], tokenizer: TokenizerFiles, source: Path, output: Path
) -> None:
    """Put the tokenizer's files in place and write ``config``, each atomically.

    Those that an earlier config in ``output`` lists and this one does not are removed.

    Args:
        config: As ``chat_config`` returns it; written last.
        tokenizer: The same that ``config`` was made of.
        source: The checkpoint.
        output: The model directory; made when missing.

    Raises:
        BuildError: Something cannot be written.
    """
    for name in tokenizer.files:
        if name in tokenizer.made:
            write_bytes(output / name, tokenizer.made[name])
        else:
            copy(source / name, output / name)
    if not output.exists() or not output.samefile(source):  # whose files they are
        stale = _listed_before(output) - {*tokenizer.files}
        for path in filter(Path.is_file, map(output.joinpath, stale)):
            path.unlink()
    write_json(output / CHAT_CONFIG, config)


def _listed_before(output: Path) -> set[str]:
    """Return the tokenizer's files that a config there lists; it may be anybody's."""
    try:
        names = read_json(output / CHAT_CONFIG).get("tokenizer_files")
    except InputError:
        return set()
    given = names if isinstance(names, list) else []
    known = {n for n in given if isinstance(n, str) and is_of_tokenizer(n)}
    return {name for name in known if PurePath(name).name == name}
