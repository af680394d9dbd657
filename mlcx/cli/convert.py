"""The verbs that make a model directory of a checkpoint: its config and its weights."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlcx.architectures.overriding import unbuildable
from mlcx.artifact import CHAT_CONFIG, MODEL_CONFIG, read_json
from mlcx.cli.conversation import other_template
from mlcx.cli.count import count
from mlcx.cli.model import folder_of, given, model_arguments
from mlcx.cli.output import FOLDER, output_argument
from mlcx.cli.quantization import quantization_argument
from mlcx.errors import InputError, Problem, UsageError
from mlcx.spec.hub import is_remote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlcx.progress import Bar
    from mlcx.quant.packing import Scheme

__all__ = [
    "convert_weight",
    "convert_weight_arguments",
    "gen_config",
    "gen_config_arguments",
]

_AUTO = "auto"
_OVERRIDES = (
    ("context_window_size", count(or_none=True), "tokens that the model attends to"),
    ("sliding_window_size", count(or_none=True), "tokens that a sliding window holds"),
    ("prefill_chunk_size", count(), "tokens that one prefill step takes at most"),
    ("attention_sink_size", count(0), "first tokens that a sliding window keeps"),
    ("tensor_parallel_shards", count(), "devices that share each layer"),
    ("pipeline_parallel_stages", count(), "devices that share the layers"),
)


class _Model(NamedTuple):
    """A checkpoint's config, read and understood."""

    path: Path
    content: dict[str, Any]
    kind: str
    architecture: ModuleType
    config: Any
    preset: str | None
    """Whose file it is, if it is a preset's and of no checkpoint."""


def _shared_arguments(parser: argparse.ArgumentParser) -> None:
    meaning = "a checkpoint's config.json, or the folder that holds it"
    model_arguments(parser, "config", meaning)
    quantization_argument(parser, required=True)
    output_argument(parser, FOLDER, "model directory; made when missing")


def convert_weight_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``convert_weight``."""
    _shared_arguments(parser)
    parser.add_argument(
        "--source",
        metavar="DIR",
        help="weights: a folder, a file, an index or a model of the hub (default: "
        "CONFIG's folder)",
    )
    parser.add_argument(
        "--source-format",
        default=_AUTO,
        choices=[_AUTO, "huggingface-safetensor", "huggingface-torch"],
        help="what to look for in that folder; auto: safetensors, then PyTorch's files",
    )
    parser.add_argument(
        "--device",
        default=_AUTO,
        choices=[_AUTO, "cpu"],
        help="where to quantize; the CPU does it",
    )
    parser.add_argument(
        "--float32",
        default="bfloat16",
        choices=["bfloat16", "raw"],
        help="how float32 parameters are stored: bfloat16, as MLC does, keeps their 8 "
        "leading bits; raw keeps all, in twice the bytes",
    )


def convert_weight(args: argparse.Namespace) -> int:
    """Convert and quantize a checkpoint's weights."""
    from mlcx.architectures.quantized import KEY
    from mlcx.quant.apply import parameters
    from mlcx.quant.chosen import chosen
    from mlcx.quant.compiled import compiled
    from mlcx.quant.given import reading
    from mlcx.weights.checkpoint import find
    from mlcx.weights.convert import convert
    from mlcx.weights.mapping import Parameter

    scheme = chosen(args.quantization)
    model = _load(args)
    try:
        scheme = reading(scheme, model.content.get(KEY))
    except UsageError as error:
        raise InputError.in_file(model.path, str(error)) from error
    wanted = [
        Parameter(each.name, each.shape, each.dtype, compiled(each.packing))
        for each in parameters(model.architecture, model.config, scheme)
    ]
    started = time.perf_counter()
    with _Progress() as progress:
        result = convert(
            wanted,
            model.architecture.weights(model.config),
            model.architecture.UNUSED,
            find(_source(model, args), args.source_format),
            args.output,
            progress,
            exact_float32=args.float32 == "raw",
            key=_key(model),
        )
    seconds = time.perf_counter() - started
    print(
        f"{result.parameters} tensors, {result.nbytes} bytes, "
        f"{result.bits_per_parameter:.3f} bits per parameter, {seconds:.1f} s"
    )
    return 0


def _key(model: _Model) -> str:
    """Return a digest of what decides how weights become parameters."""
    from mlcx.layers import closure
    from mlcx.spec.digest import digest_json, digest_sources

    sources = digest_sources(closure("weights") | closure("models"))
    return digest_json([model.kind, repr(model.content), sources])


def gen_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``gen_config``."""
    from mlcx.package.templates import template_names

    _shared_arguments(parser)
    parser.add_argument(
        "--conv-template",
        required=True,
        metavar="T",
        help="conversation template: " + ", ".join(template_names()),
    )
    for name, number, meaning in _OVERRIDES:
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=number, metavar="N", help=meaning)
    parser.add_argument(
        "--max-batch-size",
        type=count(),
        default=128,
        metavar="N",
        help="requests served at a time",
    )


def gen_config(args: argparse.Namespace) -> int:
    """Write mlc-chat-config.json and the tokenizer files."""
    from mlcx.package.chat_config import (
        chat_config,
        ends_of,
        generation_defaults,
        generation_files,
        write_model_files,
    )
    from mlcx.package.templates import load_template
    from mlcx.package.tokenizer_files import inspect
    from mlcx.quant.chosen import chosen

    template = load_template(args.conv_template)
    scheme = chosen(args.quantization)
    model = _load(args)
    recipe = _recipe(scheme, model)
    fields = _override(model, args)
    source = model.path.parent
    tokenizer = inspect(source, _warn)
    files = generation_files(model.path, model.content)
    generation = generation_defaults(files)
    _check_sampling(files, generation)
    if warning := other_template(source, args.conv_template, ends_of(generation)):
        _warn(warning)
    content = chat_config(
        model.kind,
        scheme.name,
        fields,
        template,
        generation,
        tokenizer,
        recipe,
    )
    _warn_of_tokens(tokenizer.size, content["vocab_size"])
    _warn_of_ends(ends_of(generation), content["vocab_size"])
    _warn_of_place(source, args.output)
    write_model_files(content, tokenizer, source, args.output)
    print(_summary(content))
    return 0


def _warn_of_tokens(count: int | None, vocab_size: int) -> None:
    if count is not None and count > vocab_size:
        _warn(
            f"the tokenizer has {count} tokens, the model {vocab_size}: ids from "
            f"{vocab_size} on never come out, and a prompt must not have them"
        )


def _warn_of_ends(ends: list[int], vocab_size: int) -> None:
    if all(not 0 <= each < vocab_size for each in ends):
        found = ", ".join(map(str, ends))
        _warn(
            f"eos_token_id {found}: the model has ids from 0 to {vocab_size - 1}, so "
            "that never ends an answer"
        )


def _warn_of_place(source: Path, output: Path) -> None:
    if output.exists() and output.samefile(source):
        _warn(
            f"{output} is the checkpoint's own folder: builds take it for an MLC model "
            f"directory from now on, until {CHAT_CONFIG} is removed"
        )


def _check_sampling(
    files: Sequence[tuple[Path, Mapping[str, Any]]], generation: dict[str, Any]
) -> None:
    """Refuse numbers with which no runtime chooses tokens.

    Raises:
        InputError: One is out of its range; names the first of ``files`` to have it.
    """
    from mlcx.runtime.sampler import Sampling

    for name in filter(generation.__contains__, Sampling.__dataclass_fields__):
        try:
            Sampling(**{name: generation[name]})
        except UsageError as error:  # noqa: PERF203 (five numbers)
            file = next(path for path, each in files if each.get(name) is not None)
            raise InputError.in_file(file, str(error)) from error


def _recipe(scheme: Scheme, model: _Model) -> dict[str, object] | None:
    """Return the content of a mixed scheme; make sure that any fits the model."""
    from mlcx.quant.fit import fit
    from mlcx.quant.mixed import MixedScheme

    if not isinstance(scheme, MixedScheme):
        fit(scheme, model.architecture, model.config)
        return None
    from mlcx.quant.apply import layers  # loads TVM

    layers(model.architecture, model.config, scheme)
    return scheme.content()


def _summary(content: dict[str, Any]) -> str:
    """Return one line on a chat config: what a person checks first."""
    limits = [
        f"{what} of {content[key]} tokens"
        for key, what in _LIMITS.items()
        if content[key] > 0
    ]
    names = ", ".join(content["tokenizer_files"]) or "no tokenizer"
    return (
        f"{content['model_type']} as {content['quantization']}, "
        f"{' and '.join(limits) or 'no limit to its context'}, template "
        f"{content['conv_template']['name']}, {content['active_vocab_size']} of "
        f"{content['vocab_size']} token ids in use; {names}"
    )


_LIMITS = {"context_window_size": "context", "sliding_window_size": "sliding window"}


def _load(args: argparse.Namespace) -> _Model:
    """Return the model that the arguments name, of one of the hub all but weights.

    Raises:
        InputError: Its config is missing, or not what it must be.
        UsageError: No model is given, or an architecture that is not known.
    """
    from mlcx.architectures import architecture

    model = given(args.config, args.model_type, kind="checkpoint")
    path = model.path / MODEL_CONFIG if model.path.is_dir() else model.path
    if not path.is_file():
        message = "expected a checkpoint: config.json, or the folder that holds it"
        raise InputError.in_file(model.path, message)
    content = read_json(path)
    kind = model.model_type or content.get("model_type")
    if not isinstance(kind, str):
        found = "nothing" if kind is None else repr(kind)
        message = f"'model_type': expected a name, found {found}; give --model-type"
        raise InputError.in_file(path, message)
    try:
        module = architecture(kind)
    except UsageError as error:
        if model.model_type is not None:
            raise
        raise InputError.in_file(path, str(error)) from error
    config = _read_config(module, content, path)
    return _Model(path, content, kind, module, config, model.preset)


def _source(model: _Model, args: argparse.Namespace) -> Path:
    """Return where the weights of ``model`` are, which of one of the hub come now.

    Raises:
        UsageError: It is a preset, and nobody has said; or the hub has none.
    """
    source: str | None = args.source
    if source is None and is_remote(args.config or ""):
        source = args.config
    if source is None and model.preset is not None:
        message = f"the preset {model.preset} has no weights: give --source"
        raise UsageError(f"{message}, the folder of a checkpoint")
    return model.path.parent if source is None else folder_of(source, kind="checkpoint")


def _read_config(module: ModuleType, fields: dict[str, Any], path: Path) -> Any:
    try:
        return module.Config.from_hf(fields)
    except InputError as error:
        problems = [Problem(str(path), 0, 0, each.message) for each in error.problems]
        raise InputError(problems) from error


def _override(model: _Model, args: argparse.Namespace) -> dict[str, Any]:
    """Return the model's fields with those replaced that the arguments name."""
    fields: dict[str, Any] = model.config.to_dict()
    names = [name for name, *_ in _OVERRIDES]
    given = {name: vars(args)[name] for name in names}
    given = {
        name: value
        for name, value in given.items()
        # None, which is -1, asks nothing of a model without such a field.
        if value is not None and (value >= 0 or name in fields)
    }
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise UsageError(f"{model.kind} has no {' and no '.join(unknown)} to override")
    if "max_batch_size" in fields:
        given["max_batch_size"] = args.max_batch_size
    config = _read_config(model.architecture, fields | given, model.path)
    result: dict[str, Any] = config.to_dict()
    for name, value in given.items():
        if result[name] != value:
            _warn(f"{name} cannot be {value}: {model.kind} makes it {result[name]}")
    for name, why in unbuildable(given):
        _warn(f"{name}: {why}: mlcx compile refuses it")
    return result


def _warn(message: str) -> None:
    print(f"mlcx: warning: {message}", file=sys.stderr)


class _Progress:
    """A bar of the bytes converted, or what a build shows of them."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def begin(self, nbytes: int, done: int) -> None:
        from mlcx.progress import bar

        self._bar = bar("converting", nbytes, done)

    def advance(self, nbytes: int) -> None:
        if self._bar is not None:
            self._bar.update(nbytes)

    def warn(self, message: str) -> None:
        _warn(message)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
