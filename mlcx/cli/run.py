"""Verbs that run a built model: generate, logits."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.cli.model import REMOTE, built
from mlcx.cli.output import output_argument

if TYPE_CHECKING:
    from mlcx.runtime.completion import Completion, Prompter
    from mlcx.runtime.config import ChatConfig
    from mlcx.runtime.sampler import Sampling

__all__ = ["generate", "generate_arguments", "logits", "logits_arguments"]


def generate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``mlcx generate``."""
    parser.description = (
        "Continue a prompt with a built model; the text appears as it comes. The "
        "prompt is what a user says in the model's conversation template, unless --raw."
    )
    _model_arguments(parser)
    add = parser.add_argument
    add(
        "--prompt",
        required=True,
        metavar="TEXT",
        help="the prompt; - reads it from stdin",
    )
    add(
        "--raw",
        action="store_true",
        help="continue the prompt itself, without template",
    )
    add("--system", metavar="TEXT", help="system message (default: the template's)")
    add(
        "--max-tokens",
        type=int,
        metavar="N",
        help="at most N tokens (default: no limit)",
    )
    add(
        "--context",
        type=int,
        metavar="N",
        help="room for N tokens in all (default: the model's context, at most 8192)",
    )
    _sampling_arguments(parser)
    add("--seed", type=int, metavar="S", help="makes the choice of tokens reproducible")
    add("--stats", action="store_true", help="print token counts and speeds to stderr")
    add("--json", action="store_true", help="print one JSON object instead of the text")


def logits_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``mlcx logits``."""
    from mlcx.runtime.logits import PATHS

    parser.description = (
        "Write a model's logits for given tokens to an .npz file: logits, float32 "
        "(tokens, vocabulary), row i computed of tokens 0 to i, and greedy, int64, the "
        "most likely continuation, of --greedy tokens. The first tokens pass through "
        "prefill in chunks, the rest through decode one by one. prefill returns only "
        "its last token's logits: rows before come from batch_verify."
    )
    _model_arguments(parser)
    add = parser.add_argument
    add(
        "--tokens",
        required=True,
        type=_tokens,
        metavar="1,2,3",
        help="ids of the tokens",
    )
    output_argument(parser, "FILE.npz", "file to write")
    add(
        "--prefill",
        type=int,
        metavar="N",
        help="how many of the tokens to prefill, 1 or more (default: all)",
    )
    add("--greedy", type=int, default=0, metavar="K", help="tokens to continue with")
    add(
        "--function",
        choices=PATHS,
        default=PATHS[0],
        help="what computes the first tokens; after the batch functions, batch_decode "
        "computes the rest",
    )


def _sampling_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    unset = argparse.SUPPRESS
    add(
        "--temperature",
        type=float,
        default=unset,
        metavar="T",
        help="0: always the most likely token (default: the model's)",
    )
    add(
        "--greedy",
        action="store_const",
        const=0.0,
        dest="temperature",
        default=unset,
        help="the same as --temperature 0",
    )
    add(
        "--top-p",
        type=float,
        default=unset,
        metavar="P",
        help="choose among the most likely tokens of mass P (default: the model's)",
    )
    for name in ("presence", "frequency", "repetition"):
        add(
            f"--{name}-penalty",
            type=float,
            default=unset,
            metavar="X",
            help="against tokens generated before (default: the model's)",
        )


def _model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("model", metavar="MODEL", help=f"model directory, or {REMOTE}")
    parser.add_argument(
        "--model-lib",
        type=Path,
        metavar="FILE",
        help="compiled library (default: the one that ../mlc-app-config.json names)",
    )
    parser.add_argument("--device", default="cpu", help="where to run (default: cpu)")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads on the CPU (default: one for each physical core)",
    )


def generate(args: argparse.Namespace) -> int:
    """Print a model's answer."""
    from mlcx.runtime import config, load, tokenizer
    from mlcx.runtime.completion import Completion, Prompter

    files = built(args.model, args.model_lib)
    settings = config.read(files.directory)
    words = tokenizer.read(files.directory)
    prompter = Prompter(settings, words)
    sampling = _sampling(args, settings)
    stops: tuple[str, ...] = ()
    if not args.raw:
        sampling = prompter.stopping(sampling)
        stops = settings.conversation.stop_str
    prompt = _prompt(args, prompter)
    engine = load.load_engine(
        files, settings, args.device, context=args.context, threads=args.threads
    )
    completion = Completion(engine, words, prompt, sampling, stops)
    _print(args, completion, len(prompt))
    return 0


def logits(args: argparse.Namespace) -> int:
    """Write a model's logits."""
    import numpy as np

    from mlcx import artifact
    from mlcx.runtime import config, load
    from mlcx.runtime.device import open_library
    from mlcx.runtime.logits import greedy, trace

    files = built(args.model, args.model_lib)
    settings = config.read(files.directory)
    prefilled = _checked(args, settings.vocab_size)
    library = open_library(files.library, args.device, args.threads)
    length = len(args.tokens) + args.greedy
    context = load.context_size(library.metadata, settings, length)
    model = load.load_model(library, files, settings, 1, context)
    rows = trace(model, args.tokens, prefilled, args.function)
    continuation = greedy(model, rows[-1], args.greedy, args.function)
    with artifact.replacing(args.output) as temporary, temporary.open("wb") as file:
        np.savez(file, logits=rows, greedy=continuation)
    return 0


def _tokens(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        message = f"expected whole numbers such as 1,2,3, found {text!r}"
        raise argparse.ArgumentTypeError(message) from error


def _checked(args: argparse.Namespace, vocabulary: int) -> int:
    """Return how many tokens to prefill, after checking all numbers."""
    from mlcx.errors import UsageError

    count: int = len(args.tokens)
    prefilled: int = count if args.prefill is None else args.prefill
    if not 1 <= prefilled <= count:
        raise UsageError(f"--prefill: expected 1 to {count} tokens, found {prefilled}")
    if args.greedy < 0:
        raise UsageError(f"--greedy: expected 0 or more tokens, found {args.greedy}")
    for token in args.tokens:
        if not 0 <= token < vocabulary:
            raise UsageError(
                f"--tokens: expected ids from 0 to {vocabulary - 1}, found {token}"
            )
    return prefilled


def _sampling(args: argparse.Namespace, settings: ChatConfig) -> Sampling:
    """Return the model's defaults with what the command line sets."""
    names = (field.name for field in dataclasses.fields(settings.sampling))
    given = {
        name: value for name in names if (value := vars(args).get(name)) is not None
    }
    return dataclasses.replace(settings.sampling, **given)


def _prompt(args: argparse.Namespace, prompter: Prompter) -> list[int]:
    text = _read() if args.prompt == "-" else args.prompt
    return prompter.plain(text) if args.raw else prompter.chat(text, args.system)


def _read() -> str:
    from mlcx.errors import UsageError

    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        message = f"--prompt -: expected text in {error.encoding}, found other bytes"
        raise UsageError(message) from error


def _print(args: argparse.Namespace, completion: Completion, prompt: int) -> None:
    if args.json:
        text = "".join(completion)
        print(json.dumps({"text": text, **_figures(completion, prompt)}))
        return
    try:
        for part in completion:
            print(part, end="", flush=True)
    finally:
        print(flush=True)
    if args.stats:
        _print_stats(completion, prompt)


def _print_stats(completion: Completion, prompt: int) -> None:
    print(
        f"prompt: {prompt} tokens, {completion.prefill_speed:.1f} tokens/s; answer: "
        f"{len(completion.tokens)} tokens, {completion.decode_speed:.1f} tokens/s; "
        f"ended by {completion.finish}",
        file=sys.stderr,
    )


def _figures(completion: Completion, prompt: int) -> dict[str, object]:
    return {
        "tokens": completion.tokens,
        "finish": completion.finish,
        "prompt_tokens": prompt,
        "prefill_tokens_per_second": round(completion.prefill_speed, 3),
        "decode_tokens_per_second": round(completion.decode_speed, 3),
    }
