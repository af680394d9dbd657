"""Runs libraries for their quality: makes a reference, measures against one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlcx import artifact
from mlcx.errors import InputError, UsageError
from mlcx.runtime import config, load, provenance, tokenizer
from mlcx.runtime.config import ChatConfig
from mlcx.runtime.device import Library, open_library
from mlcx.runtime.locate import Files
from mlcx.runtime.model import Logits, Model
from mlcx.runtime.quality import measure, reference
from mlcx.runtime.quality.passage import PASSAGE
from mlcx.runtime.quality.reference import Origin
from mlcx.runtime.quality.verdict import Measurement
from mlcx.runtime.quality.windows import LENGTH, Windows, draw, encode

__all__ = ["Place", "measure_quality", "write_reference"]

_TOKENIZERS = (artifact.TOKENIZER, artifact.TOKENIZER_MODEL, "merges.txt")
"""A model directory has one of these when it can read a text."""


@dataclass(frozen=True)
class Place:
    """Where libraries run."""

    device: str | None = None
    """One of ``device.DEVICES``; None: the one that the library was compiled for."""
    threads: int | None = None
    """As in ``device.open_library``."""

    def open(self, library: Path) -> Library:
        """Load ``library``; raises as ``device.open_library``."""
        return open_library(library, self.device_of(library), self.threads)

    def device_of(self, library: Path) -> str:
        """Return where to run ``library``; its stamp says what it is made for."""
        return self.device or provenance.device_of(library) or "cpu"


def write_reference(
    files: Files, place: Place, text: Path | None, tokens: int, output: Path
) -> None:
    """Write the logits of an unquantized model to ``output``.

    Args:
        files: Of the model.
        place: Where it runs.
        text: UTF-8, to take tokens of; None: ``PASSAGE``, or for a model without a
            tokenizer ids that are drawn once and for all.
        tokens: How many, at most.
        output: As ``reference.write`` makes it.

    Raises:
        UsageError: There are too few tokens.
        InputError: A file is damaged, or ``text`` is given and there is no tokenizer.
        MlcxError: The model returns what is no number.
    """
    settings = config.read(files.directory)
    library = place.open(files.library)
    length = _length(library, settings)
    chosen, name = _tokens(files.directory, settings, text, tokens, length)
    model = load.load_model(library, files, settings, 1, length)
    metadata = library.metadata
    device = place.device_of(files.library)
    origin = Origin(metadata.model_type, metadata.quantization, device, name)
    vocabulary = settings.active_vocab_size
    blocks = _blocks(model, chosen, vocabulary)
    reference.write(output, origin, chosen, vocabulary, blocks)


def measure_quality(files: Files, place: Place, against: Path) -> Measurement:
    """Return how far a library is from the reference in the file ``against``.

    Raises:
        UsageError: The reference is of another model.
        InputError: A file is damaged.
        MlcxError: The library returns what is no number.
    """
    expected = reference.read(against)
    settings = config.read(files.directory)
    library = place.open(files.library)
    _require_same(library, settings, expected)
    length = _length(library, settings)
    model = load.load_model(library, files, settings, 1, length)
    used = min(length, max(map(len, expected.windows)))
    return Measurement(
        files.library.name,
        library.metadata.quantization,
        place.device_of(files.library),
        used,
        expected.origin,
        measure.compare(model, expected, used),
    )


def _require_same(
    library: Library, settings: ChatConfig, expected: reference.Reference
) -> None:
    found = (library.metadata.model_type, settings.active_vocab_size)
    wanted = (expected.origin.model_type, expected.logits.shape[1])
    if found != wanted:
        raise UsageError(
            f"the reference is of a {wanted[0]} with {wanted[1]} ids, the library of "
            f"a {found[0]} with {found[1]}: they are of different models"
        )


def _length(library: Library, settings: ChatConfig) -> int:
    return min(LENGTH, load.context_size(library.metadata, settings, None))


def _blocks(
    model: Model, windows: Sequence[Sequence[int]], vocabulary: int
) -> Iterator[Logits]:
    for window in windows:
        yield from measure.logits(model, window, vocabulary)


def _tokens(
    directory: Path, settings: ChatConfig, text: Path | None, count: int, length: int
) -> tuple[Windows, str]:
    """Return the tokens to compare on, and where they are from."""
    readable = any((directory / name).is_file() for name in _TOKENIZERS)
    if text is None and not readable:
        drawn = draw(settings.active_vocab_size, count, length)
        return drawn, "ids drawn at random"
    coder = tokenizer.read(directory)
    content = PASSAGE if text is None else _read_text(text)
    windows = encode(coder, content, count, length)
    name = "mlcx's own passage" if text is None else text.name
    if max(map(max, windows)) >= settings.active_vocab_size:
        message = f"a tokenizer of ids below {settings.active_vocab_size} was expected"
        raise InputError.in_file(directory, f"{message}: this is another model's")
    return windows, name


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.in_file(file, f"cannot be read as text: {error}") from error
