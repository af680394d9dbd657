"""Sizes of a model that configs tell in several ways: of texts, of heads, of layers."""

from __future__ import annotations

from mlcx.architectures.config import OPEN, Fields

__all__ = [
    "USUAL_CHUNK",
    "derive_context",
    "derive_gpt_sizes",
    "derive_heads",
    "derive_rotary",
    "derive_window",
]

USUAL_CHUNK = 8192
"""Tokens of a prefill chunk that nobody asked for, at most."""


def derive_context(fields: Fields, usual: int = USUAL_CHUNK) -> tuple[int, int]:
    """Return the context window and the prefill chunk, in tokens.

    ``usual`` is the largest chunk that nobody asked for.
    """
    names = (
        "context_window_size",
        "max_position_embeddings",
        "max_sequence_length",
        "n_positions",
    )
    named = [name for name in names if fields.has(name)]
    if not named and fields.first(*names[:2]) == names[0]:
        otherwise = f"{names[0]!r}: expected a number of tokens, as no window slides"
        fields.require(False, f"{otherwise}, found {OPEN}")
        return 1, 1
    context = fields.positive(named[0] if named else names[1])
    return context, _chunk(fields, context, usual)


def derive_window(fields: Fields, sinks: int) -> dict[str, int]:
    """Return the fields on the length of texts, in tokens, of a config with a window.

    One of the windows is open: a sliding one leaves the length of a text unlimited.
    ``sinks`` is how many of the first tokens stay in its sight unless said otherwise.
    """
    name = fields.first("sliding_window_size", "sliding_window")
    sink = fields.count("attention_sink_size", sinks)
    context = window = OPEN
    if fields.has(name):
        window = fields.positive(name)
        chunk = _chunk(fields, window)
        fields.require(
            sink < window, "attention_sink_size must be less than sliding_window_size"
        )
    else:
        context, chunk = derive_context(fields)
    return {
        "context_window_size": context,
        "sliding_window_size": window,
        "prefill_chunk_size": chunk,
        "attention_sink_size": sink,
    }


def _chunk(fields: Fields, window: int, usual: int = USUAL_CHUNK) -> int:
    """Return the prefill chunk: what is said, or ``usual``, within ``window``."""
    usual = min(window, usual)
    chunk = fields.positive("prefill_chunk_size", usual)
    return chunk if chunk <= window else usual


def derive_heads(fields: Fields) -> tuple[int, int]:
    """Return the number of key heads and the width of a head.

    By default each query head has its own, and together they are as wide as the model.
    """
    heads = fields.positive("num_attention_heads")
    keys = fields.positive("num_key_value_heads", heads)
    fields.require(
        heads % keys == 0,
        f"num_attention_heads is {heads}: expected a multiple of num_key_value_heads, "
        f"which is {keys}",
        "num_attention_heads",
        "num_key_value_heads",
    )
    width = fields.positive("head_dim", fields.positive("hidden_size") // heads)
    fields.require(
        width % 2 == 0,
        f"a head is {width} wide: expected an even number, as it rotates",
        "num_attention_heads",
        "hidden_size",
        "head_dim",
    )
    return keys, width


def derive_gpt_sizes(fields: Fields) -> tuple[int, int]:
    """Return the width of a head and of the feed-forward layers, in GPT-2's names."""
    hidden, heads = fields.positive("n_embd"), fields.positive("n_head")
    width = max(1, hidden // heads)
    sizes = ("n_embd", "n_head")
    fields.require(
        width * heads == hidden, "n_embd must be a multiple of n_head", *sizes
    )
    fields.require(
        fields.positive("head_dim", width) == width,
        "head_dim must be n_embd / n_head",
        "head_dim",
        *sizes,
    )
    inner = fields.positive("n_inner") if fields.has("n_inner") else 4 * hidden
    return width, inner


def derive_rotary(fields: Fields, width: int, usual: int | None = None) -> int:
    """Return how many dimensions of a head of ``width`` are rotated, in GPT-J's name.

    ``usual`` is the number of configs that do not tell it.
    """
    rotated = fields.positive("rotary_dim", usual)
    fields.require(
        rotated % 2 == 0 < rotated <= width,
        f"'rotary_dim' is {rotated}: expected an even number up to {width}, the width "
        "of a head",
    )
    return rotated
