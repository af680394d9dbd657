"""The options of a job's verbs, and the files that a job reads: plain data."""

from __future__ import annotations

from pathlib import Path

from mlcx.artifact import CHAT_CONFIG, TENSOR_CACHE, read_json
from mlcx.errors import InputError
from mlcx.scons.parts import parts
from mlcx.spec.types import LibraryJob, Overrides, WeightsJob

__all__ = [
    "checkpoint_texts",
    "checkpoint_weights",
    "compile_options",
    "convert_options",
    "gen_config_options",
    "model_directory",
    "normalize_options",
    "overrides_text",
    "tokenizers",
]

_TOKENIZERS = (
    "tokenizer.model",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
"""The files that a model directory takes over from a checkpoint."""

_TEXTS = {".json", ".model", ".txt", ".jinja", ".tiktoken"}
_WEIGHTS_INDEX = "model.safetensors.index.json"


def gen_config_options(job: WeightsJob) -> list[str]:
    """Return the options of ``gen_config``."""
    template = ["--conv-template", job.conv_template]
    return ["--quantization", job.quantization, *template]


def convert_options(job: WeightsJob) -> list[str]:
    """Return the options of ``convert_weight``."""
    return ["--quantization", job.quantization]


def normalize_options(job: LibraryJob) -> list[str]:
    """Return the options of ``normalize``."""
    options = [] if job.quantization is None else ["--quantization", job.quantization]
    if job.overrides:
        options += ["--overrides", overrides_text(job.overrides)]
    return options


def overrides_text(overrides: Overrides) -> str:
    """Return ``overrides`` as a command line takes them: ``key=value;key=value``."""
    return ";".join(f"{key}={_value(value)}" for key, value in overrides)


def _value(value: int | str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def compile_options(job: LibraryJob) -> list[str]:
    """Return the options of ``compile``."""
    options = ["--device", job.device, "--opt", job.opt]
    options += ["--host", job.host, "--mcpu", job.mcpu]
    if job.system_lib_prefix is not None:
        options += ["--system-lib-prefix", job.system_lib_prefix]
    return options


def checkpoint_texts(model: Path) -> list[Path]:
    """Return the files of a checkpoint that ``gen_config`` may read, config first."""
    config = model / "config.json"
    others = (
        path
        for path in sorted(model.iterdir())
        if path.suffix in _TEXTS and not path.name.endswith(".index.json")
    )
    return [config, *(path for path in others if path != config)]


def checkpoint_weights(model: Path) -> list[Path]:
    """Return the files that ``convert_weight`` reads, config first.

    Raises:
        InputError: The index of the weights is not what it must be.
    """
    index = model / _WEIGHTS_INDEX
    if not index.exists():
        return [model / "config.json", model / "model.safetensors"]
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict):
        raise InputError.in_file(index, "expected an object 'weight_map', found none")
    names = sorted({str(name) for name in shards.values()})
    return [model / "config.json", index, *(model / name for name in names)]


def tokenizers(model: Path) -> list[str]:
    """Return the names of the tokenizer files of a checkpoint."""
    return [name for name in _TOKENIZERS if (model / name).exists()]


def model_directory(model: Path) -> list[Path]:
    """Return the files of an MLC model directory that a bundle is made of.

    Shards whose hash the index holds are left out: the index changes when they do.

    Raises:
        InputError: One of the two indexes is not what it must be.
    """
    indexes = [model / TENSOR_CACHE, model / CHAT_CONFIG]
    listed = (part for index in indexes for part in parts(index))
    return [*indexes, *(part.path for part in listed if not part.hashed)]
