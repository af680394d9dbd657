"""The verbs that say what quantizing a model has cost, and whether it is too much."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.artifact import write_json
from mlcx.cli.model import REMOTE, built, folder_of
from mlcx.cli.output import output_argument
from mlcx.errors import BuildError, UsageError
from mlcx.spec.options import DEFAULTS

if TYPE_CHECKING:
    from mlcx.runtime.locate import Files
    from mlcx.runtime.quality.run import Place
    from mlcx.runtime.quality.verdict import Measurement, Thresholds

__all__ = [
    "judge_quality",
    "judge_quality_arguments",
    "measure_quality",
    "measure_quality_arguments",
    "reference_logits",
    "reference_logits_arguments",
    "verify_quality",
    "verify_quality_arguments",
]

_REFERENCE = "reference, as reference-logits writes it"


def _model_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL_DIR", help=f"model directory, or {REMOTE}")
    add(
        "--model-lib",
        type=Path,
        metavar="LIB",
        help="compiled library (default: the one that ../mlc-app-config.json names)",
    )
    add(
        "--device",
        metavar="D",
        help="where to run it (default: what the library was compiled for)",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="threads on the CPU (default: one for each physical core)",
    )


def _text_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="UTF-8 text to compare on (default: mlcx's own; without a tokenizer, ids)",
    )
    parser.add_argument(
        "--tokens",
        type=int,
        default=DEFAULTS["tokens"],
        metavar="N",
        help="tokens of it to compare on, at most",
    )


def _threshold_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-kl",
        type=float,
        metavar="X",
        help="fail when the mean KL divergence is above X nats per token",
    )
    parser.add_argument(
        "--min-top1",
        type=float,
        metavar="Y",
        help="fail when the share of equal most likely tokens is below Y, 0 to 1",
    )


def reference_logits_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``reference-logits``."""
    parser.description = (
        "Write the tokens that libraries are compared on to FILE.json, and to FILE.npy "
        "an unquantized model's logits for them, float32 (tokens, vocabulary)."
    )
    _model_arguments(parser)
    _text_arguments(parser)
    output_argument(parser, "FILE.json", "reference to write")


def reference_logits(args: argparse.Namespace) -> int:
    """Write the logits of a model that is not quantized."""
    from mlcx.runtime.quality.run import write_reference

    if args.output.suffix != ".json":
        raise UsageError(f"--output: expected a .json file, found {args.output.name}")
    _require_tokens(args)
    files, place = _files(args), _place(args)
    write_reference(files, place, args.text, args.tokens, args.output)
    return 0


def measure_quality_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``measure-quality``."""
    _model_arguments(parser)
    parser.add_argument(
        "--reference", type=Path, required=True, metavar="FILE.json", help=_REFERENCE
    )
    output_argument(parser, "QUALITY.json", "figures to write")


def measure_quality(args: argparse.Namespace) -> int:
    """Write how far a library is from a reference."""
    from mlcx.runtime.quality.verdict import Thresholds, table

    measured = _measured(args, args.reference)
    write_json(args.output, measured.to_dict())
    print(table(measured, Thresholds()))
    return 0


def judge_quality_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``judge-quality``."""
    parser.add_argument(
        "figures", type=Path, metavar="QUALITY.json", help="what measure-quality wrote"
    )
    _threshold_arguments(parser)
    output_argument(parser, "VERDICT.json", "written when no threshold is crossed")


def judge_quality(args: argparse.Namespace) -> int:
    """Hold figures that were measured to thresholds."""
    from mlcx.runtime.quality.verdict import read, table

    measured, limits = read(args.figures), _limits(args)
    # A verdict that some other library, or other thresholds, passed must not stay.
    args.output.unlink(missing_ok=True)
    _require_good(measured, limits)
    write_json(args.output, _report(measured, limits))
    print(table(measured, limits))
    return 0


def verify_quality_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``verify-quality``."""
    parser.description = (
        "Hold a compiled library against the checkpoint before quantization, on the "
        "same tokens: KL divergence in nats per token, agreement on the most likely "
        "token, the largest difference of two logits, and both perplexities. Exits "
        "with 1 when a threshold is crossed. A checkpoint is converted without loss "
        "and compiled once; what that makes is kept below the folder --build."
    )
    from mlcx.spec.verify_rules import REFERENCES

    _model_arguments(parser)
    parser.add_argument(
        "--reference",
        required=True,
        metavar="CHECKPOINT|FILE.json",
        help=f"the checkpoint's folder, or {REMOTE}, or a {_REFERENCE}",
    )
    _text_arguments(parser)
    _threshold_arguments(parser)
    parser.add_argument(
        "--reference-quantization",
        choices=REFERENCES,
        default=DEFAULTS["reference"],
        help="how a checkpoint is run: q0f32 keeps all of it, the others save memory",
    )
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build"),
        metavar="DIR",
        help="folder for what is made of a checkpoint; scons has the same",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    output_argument(parser, "REPORT.json", "report to write", required=False)


def verify_quality(args: argparse.Namespace) -> int:
    """Print what quantizing a model has cost; fail when it is too much."""
    from mlcx.runtime.quality.verdict import table

    limits = _limits(args)
    reference = _reference(args, _files(args).directory)
    measured = _measured(args, reference)
    report = _report(measured, limits)
    if args.output is not None:
        write_json(args.output, report)
    print(json.dumps(report, indent=2) if args.json else table(measured, limits))
    _require_good(measured, limits)
    return 0


def _files(args: argparse.Namespace) -> Files:
    return built(args.model, args.model_lib)


def _place(args: argparse.Namespace) -> Place:
    from mlcx.runtime.quality.run import Place

    return Place(args.device, args.threads)


def _measured(args: argparse.Namespace, reference: Path) -> Measurement:
    from mlcx.runtime.quality import run

    return run.measure_quality(_files(args), _place(args), reference)


def _require_tokens(args: argparse.Namespace) -> None:
    if args.tokens < 2:
        raise UsageError(f"--tokens: expected 2 or more, found {args.tokens}")
    from mlcx.spec.verify_rules import no_text

    if args.text is not None and (why := no_text(args.text)):
        raise UsageError(f"--text: {why}")


def _limits(args: argparse.Namespace) -> Thresholds:
    from mlcx.runtime.quality.verdict import Thresholds

    if args.max_kl is not None and not args.max_kl >= 0:
        raise UsageError(f"--max-kl: expected 0 or more, found {args.max_kl}")
    if args.min_top1 is not None and not 0 <= args.min_top1 <= 1:
        raise UsageError(f"--min-top1: expected 0 to 1, found {args.min_top1}")
    return Thresholds(args.max_kl, args.min_top1)


def _report(measured: Measurement, limits: Thresholds) -> dict[str, object]:
    from mlcx.runtime.quality.verdict import faults

    wrong = faults(measured.figures, limits)
    judged = {"passed": not wrong, "faults": wrong, "thresholds": vars(limits)}
    return {**measured.to_dict(), **judged}


def _require_good(measured: Measurement, limits: Thresholds) -> None:
    from mlcx.runtime.quality.verdict import faults, summary

    if wrong := faults(measured.figures, limits):
        found = "; ".join(wrong)
        raise BuildError(
            f"{measured.library} is beyond its threshold: {found}\n"
            f"  {summary(measured)}"
        )


def _reference(args: argparse.Namespace, model: Path) -> Path:
    """Return the reference of ``model`` that the arguments name, made if need be."""
    from mlcx.cli.reference import make
    from mlcx.spec.resolve import local
    from mlcx.spec.types import Verify

    given = folder_of(args.reference, kind="checkpoint")
    if not given.exists():
        there_is_none = f"there is no checkpoint's folder nor reference {given}"
        raise UsageError(f"--reference: {there_is_none}")
    if not given.is_dir():
        if args.text is not None:
            message = "--text: a reference has its tokens: give the checkpoint's folder"
            raise UsageError(message)
        return given
    _require_tokens(args)
    text = None if args.text is None else local(Path.cwd(), str(args.text))
    scheme = args.reference_quantization
    wanted = Verify(args.max_kl, args.min_top1, text, args.tokens, scheme)
    return make(given, model, wanted, args.build, quiet=args.json)
