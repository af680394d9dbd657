"""From files to an engine that is ready to generate."""

from __future__ import annotations

from mlcx import artifact
from mlcx.errors import UsageError
from mlcx.runtime import weights
from mlcx.runtime.config import ChatConfig
from mlcx.runtime.device import PAGE, Library, LoadedModel, open_library
from mlcx.runtime.engine import Engine
from mlcx.runtime.fields import Fields
from mlcx.runtime.locate import Files
from mlcx.runtime.metadata import Metadata

__all__ = ["USUAL_CONTEXT", "context_size", "load_engine", "load_model"]

USUAL_CONTEXT = 8192
"""Tokens that a cache is reserved for when nobody says how many."""


def load_engine(
    files: Files,
    config: ChatConfig,
    device: str,
    slots: int = 1,
    context: int | None = None,
    threads: int | None = None,
) -> Engine:
    """Load library and weights and reserve a cache.

    Args:
        files: What to load.
        config: Of the same model.
        device: One of ``device.DEVICES``.
        slots: Requests to run at the same time.
        context: Tokens of one request, prompt and answer; None: as many as the model
            can, at most USUAL_CONTEXT.
        threads: As in ``open_library``.

    Raises:
        UsageError: The model has no such context, or does not run so many requests.
        InputError: The files are damaged or do not belong together.
    """
    library = open_library(files.library, device, threads)
    size = context_size(library.metadata, config, context)
    model = load_model(library, files, config, slots, size)
    return Engine(model, slots, size, config.active_vocab_size)


def load_model(
    library: Library, files: Files, config: ChatConfig, sequences: int, context: int
) -> LoadedModel:
    """Check and load the weights, and reserve a cache for sequences of ``context``.

    Raises:
        UsageError: The library was not compiled for so many sequences.
        InputError: The weights are damaged or belong to another library, or the config
            is of a model with more or fewer token ids.
    """
    metadata = library.metadata
    if not 1 <= sequences <= metadata.max_batch_size:
        raise UsageError(
            f"{sequences} sequences: expected 1 to {metadata.max_batch_size}, the "
            "max_batch_size that the library was compiled with"
        )
    weights.check(files.directory, metadata.parameters, config.sizes)
    _check_vocabulary(files, config, metadata)
    room = -(-_room(metadata, context) // PAGE) * PAGE
    return LoadedModel(library, files.directory, sequences, sequences * room)


def _check_vocabulary(files: Files, config: ChatConfig, metadata: Metadata) -> None:
    """Raise an InputError unless the embedding has a row for each id of ``config``.

    It is the first that every library takes. An id beyond is read from elsewhere in
    memory; a size that a name stands for has been checked with the weights.
    """
    for table in metadata.parameters[:1]:
        if table.shape[0] not in ("vocab_size", config.vocab_size):
            chat = files.directory / artifact.CHAT_CONFIG
            Fields(chat, {}).reject(
                "vocab_size",
                f"expected {table.shape[0]}, the rows of the library's {table.name}, "
                f"found {config.vocab_size}",
            )


def context_size(metadata: Metadata, config: ChatConfig, wanted: int | None) -> int:
    """Return ``wanted`` tokens, or for None what is usual for the model.

    Raises:
        UsageError: The library or its model's config allows fewer.
    """
    limits = (metadata.context_window_size, config.context_window_size)
    most = min((limit for limit in limits if limit > 0), default=None)
    if wanted is None:
        return min(most or USUAL_CONTEXT, USUAL_CONTEXT)
    if wanted < 1 or (most is not None and wanted > most):
        bounds = f"1 to {most}" if most else "1 or more"
        raise UsageError(
            f"a context of {wanted} tokens: expected {bounds}; more takes a library "
            "compiled with a larger context_window_size"
        )
    return wanted


def _room(metadata: Metadata, context: int) -> int:
    """Return how many tokens of one sequence are in the cache at most."""
    if metadata.sliding_window_size <= 0:
        return context
    return min(context, metadata.sliding_window_size + metadata.prefill_chunk_size)
