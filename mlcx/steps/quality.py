"""The requests that hold libraries against the model as it was before quantization.

Three kinds of steps, so that each is done only when it must be: the logits of the
reference, once for a checkpoint; the figures of a library; the verdict on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mlcx.artifact import CHAT_CONFIG, TENSOR_CACHE
from mlcx.signature import inputs
from mlcx.signature.facts import Fact
from mlcx.spec.digest import digest_json
from mlcx.spec.types import Fetched, LibraryJob, Plan, Verify, WeightsJob
from mlcx.steps import files
from mlcx.steps.about import About
from mlcx.steps.places import Places, distinct, relative
from mlcx.steps.requests import Folders, Request, library, model_config, weights

__all__ = ["plan", "reference", "reference_file"]

_TEMPLATE = "LM"
"""Conversation template of models that are only run on plain text."""

_REFERENCE_OVERRIDES = (("max_batch_size", 1), ("prefill_chunk_size", 64))
"""What keeps the temporary memory of a reference small."""


def plan(plan: Plan, folders: Folders) -> Iterator[Request]:
    """Yield what it takes to verify the libraries of ``plan`` that are to be.

    What makes the libraries themselves is left out.
    """
    places = Places(folders.build)
    directories: dict[tuple[str, str | None], Path] = {
        (job.model_id, job.quantization): places.below(job.directory, job.model)
        for job in plan.weights
    }
    for job in plan.libraries:
        place = places.of(job.model_id, job.model)
        if job.verify is not None:
            made = directories.get((job.model_id, job.quantization))
            if made is None:
                made = place / "verify" / str(job.quantization)
                yield from _weights(job, made)
            yield from _verified(job, job.verify, made, folders)


def _weights(job: LibraryJob, directory: Path) -> Iterator[Request]:
    """Yield what makes a model directory that nothing but verifying needs."""
    scheme = str(job.quantization)
    yield from weights(
        WeightsJob(
            job.model_id,
            job.model,
            scheme,
            _TEMPLATE,
            directory.name,
            job.recipe,
            job.fetched,
        ),
        directory,
    )


def _verified(
    job: LibraryJob, verify: Verify, directory: Path, folders: Folders
) -> Iterator[Request]:
    made = folders.output / job.library
    name = Path(job.model_id, f"{PurePosixPath(job.library).name}.json")
    figures = folders.build / "quality" / name
    yield from reference(job.model, verify, folders, job.fetched)
    about = About(job.model_id, job.quantization, job.device)
    against = reference_file(job.model, verify, folders)
    yield Request(
        "measure-quality",
        (figures,),
        (*_model(directory, job.model, job.fetched), made, *_both(against)),
        ("--device", job.device),
        _facts(),
        about,
        (("--model-lib", made), ("--reference", against)),
    )
    yield Request(
        "judge-quality",
        (folders.output / "quality" / name,),
        (figures,),
        _limits(verify),
        _facts(),
        about,
        judges=made,
    )


def _limits(verify: Verify) -> tuple[str, ...]:
    limits = {"--max-kl": verify.max_kl, "--min-top1": verify.min_top1}
    given = ((name, str(limit)) for name, limit in limits.items() if limit is not None)
    return tuple(word for pair in given for word in pair)


def reference_file(checkpoint: Path, verify: Verify, folders: Folders) -> Path:
    """Return where the reference of ``checkpoint`` goes: the same for equal tokens."""
    text = None if verify.text is None else relative(verify.text, folders.build)
    asked = digest_json([text, verify.tokens])[:8]
    return _folder(checkpoint, verify, folders) / f"logits-{asked}.json"


def reference(
    checkpoint: Path, verify: Verify, folders: Folders, fetched: Fetched | None = None
) -> Iterator[Request]:
    """Yield what makes the reference of ``checkpoint``: all of it, for the CPU."""
    folder = _folder(checkpoint, verify, folders)
    name, scheme = folder.relative_to(folders.build).as_posix(), verify.reference
    directory = folder / "model"
    made_of = WeightsJob(
        name,
        checkpoint,
        scheme,
        _TEMPLATE,
        "model",
        fetched=fetched,
        exact_float32=True,
    )
    yield from weights(made_of, directory)
    job = _reference_job(name, checkpoint, scheme)
    made = folder / job.library
    yield from library(job, model_config(job), made, folders)
    text = () if verify.text is None else (("--text", verify.text),)
    output = reference_file(checkpoint, verify, folders)
    yield Request(
        "reference-logits",
        _both(output),
        (*_model(directory, checkpoint, fetched), made, *(file for _, file in text)),
        ("--tokens", str(verify.tokens)),
        _facts(),
        About(name, scheme, job.device),
        (("--model-lib", made), *text),
    )


def _reference_job(name: str, checkpoint: Path, scheme: str) -> LibraryJob:
    return LibraryJob(
        model_id=name,
        model=checkpoint,
        kind="checkpoint",
        quantization=scheme,
        device="cpu",
        opt="O0",
        overrides=_REFERENCE_OVERRIDES,
        system_lib_prefix=None,
        host="auto",
        mcpu="auto",
        library="model.so",
    )


def _folder(checkpoint: Path, verify: Verify, folders: Folders) -> Path:
    # Two checkpoints of one name in different folders must not meet.
    name = f"{checkpoint.name}-{distinct(checkpoint, folders.build)}"
    return folders.build / "reference" / name / verify.reference


def _model(
    directory: Path, checkpoint: Path, fetched: Fetched | None
) -> tuple[Path, ...]:
    """Return what running a model directory reads, the index first."""
    names = (TENSOR_CACHE, CHAT_CONFIG, *files.tokenizer_files(checkpoint, fetched))
    return tuple(directory / name for name in names)


def _both(file: Path) -> tuple[Path, Path]:
    """Return the two files of a reference."""
    return file, file.with_suffix(".npy")


def _facts() -> tuple[Fact, ...]:
    libraries = inputs.installed("libraries", "numpy", "tokenizers", "msgpack")
    return (inputs.sources("quality", "runtime"), inputs.tvm(), libraries)
