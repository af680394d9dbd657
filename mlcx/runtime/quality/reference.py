"""The reference: tokens, and the logits of a model that is not quantized.

Two files, so that many libraries can be held against one reference, and none has it in
memory: ``NAME.json`` with the tokens, and ``NAME.npy`` beside it, float32 (tokens,
vocabulary), which is read through a memory map.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlcx import artifact
from mlcx.errors import InputError
from mlcx.runtime.fields import Fields
from mlcx.runtime.model import Logits
from mlcx.runtime.quality.windows import Windows

__all__ = ["Origin", "Reference", "logits_file", "read", "write"]

_KIND = "mlcx-reference-logits"


@dataclass(frozen=True)
class Origin:
    """What a reference was made of."""

    model_type: str
    quantization: str
    """The scheme of its weights, one that does not quantize."""
    device: str
    text: str
    """Where the tokens come from, in words."""


@dataclass(frozen=True)
class Reference:
    """Tokens and their logits."""

    origin: Origin
    windows: Windows
    logits: NDArray[np.float32]
    """(tokens, vocabulary), window after window."""


def logits_file(file: Path) -> Path:
    """Return the file with the logits that belong to the reference ``file``."""
    return file.with_suffix(".npy")


def write(
    file: Path,
    origin: Origin,
    windows: Windows,
    vocabulary: int,
    blocks: Iterable[Logits],
) -> None:
    """Write a reference; ``blocks`` are (rows, vocabulary) and as long as the windows.

    Nothing is left, and an earlier reference stays, when ``blocks`` raises.
    """
    shape = (sum(map(len, windows)), vocabulary)
    with artifact.replacing(logits_file(file)) as temporary:
        rows = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        start = 0
        for block in blocks:
            rows[start : start + len(block)] = block
            start += len(block)
        assert start == shape[0], "fewer logits than tokens"
        rows.flush()
    content = {"kind": _KIND, "origin": asdict(origin), "windows": windows}
    artifact.write_json(file, content, indent=0)


def read(file: Path) -> Reference:
    """Open the reference ``file``.

    Raises:
        InputError: It is none, or its logits are missing or not of its tokens.
    """
    fields = Fields(file, artifact.read_json(file))
    if (kind := fields.text("kind", "")) != _KIND:
        fields.reject("kind", f"expected {_KIND}, found {kind or 'none'}")
    windows = _windows(fields)
    logits = _open(logits_file(file), sum(map(len, windows)))
    _require_ids(fields, windows, logits.shape[1])
    origin = fields.object("origin")
    names = Origin.__dataclass_fields__
    made = Origin(**{name: origin.text(name) for name in names})
    return Reference(made, windows, logits)


def _windows(fields: Fields) -> Windows:
    found = fields.values("windows")
    if not found or not all(isinstance(each, list) and each for each in found):
        fields.reject("windows", "expected lists of ids")
    return tuple(map(tuple, found))


def _require_ids(fields: Fields, windows: Windows, vocabulary: int) -> None:
    """Refuse ids that a model would look up beyond its embeddings."""
    for window in windows:
        if any(type(one) is not int or not 0 <= one < vocabulary for one in window):
            fields.reject("windows", f"expected ids from 0 to {vocabulary - 1}")


def _open(file: Path, tokens: int) -> NDArray[np.float32]:
    try:
        rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        message = f"the logits of a reference cannot be read: {error}"
        raise InputError.in_file(file, message) from error
    if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) != tokens:
        found = f"{rows.dtype} {list(rows.shape)}"
        message = f"expected float32 logits of {tokens} tokens, found {found}"
        raise InputError.in_file(file, message)
    logits: NDArray[np.float32] = rows
    return logits
