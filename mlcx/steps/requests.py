"""From the jobs of a plan to requests: one for each run of a verb, as plain data.

Knows which files and facts each verb depends on; knows nothing of SCons.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mlcx.artifact import (
    APP_CONFIG,
    CHAT_CONFIG,
    COMPILE_CONFIG,
    MODEL_CONFIG,
    TENSOR_CACHE,
)
from mlcx.signature import inputs
from mlcx.signature.compiling import (
    compiling,
    normalizing,
    override_text,
    web_runtime,
)
from mlcx.signature.facts import Fact
from mlcx.spec.digest import canonical_json, digest_json
from mlcx.spec.folder import CONFIGS
from mlcx.spec.types import (
    BundleJob,
    Fetched,
    LibraryJob,
    Plan,
    PrebuiltJob,
    QuantizationRecipe,
    StaticLibJob,
    WeightsJob,
)
from mlcx.steps import files
from mlcx.steps.about import About
from mlcx.steps.places import Places
from mlcx.toolchain.needs import Lack
from mlcx.toolchain.triple import AUTO
from mlcx.web.pieces import given_bitcode

__all__ = ["Folders", "Request", "library", "model_config", "plan", "weights"]

_TO_FOLDERS = {"gen_config", "convert_weight", "bundle", "prepare_libs", "fetch"}
"""Verbs that take the folders of their first source and target."""

_OF_FOLDERS = (_TO_FOLDERS - {"prepare_libs"}) | {"reference-logits", "measure-quality"}
"""Verbs that take the folder of their first source."""

_ON_ALL = {"static_lib", "web_runtime"}
"""Verbs that take all their sources."""


@dataclass(frozen=True)
class Folders:
    """Where a build puts things; absolute."""

    output: Path
    build: Path


@dataclass(frozen=True)
class Request:
    """A run of ``verb`` that makes ``targets`` from ``sources``; paths are absolute."""

    verb: str
    targets: tuple[Path, ...]
    sources: tuple[Path, ...]
    options: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    """What it depends on besides the sources."""
    about: About = field(default=About(), compare=False)
    files: tuple[tuple[str, Path], ...] = ()
    """Options that name some of the sources."""
    judges: Path | None = None
    """The library that has failed when this fails."""
    subject: str = ""
    """What the verb is called on when that is no file."""
    lacks: tuple[Lack, ...] = field(default=(), compare=False)
    """The tools that are missing for it."""
    after: tuple[Path, ...] = ()
    """What must be made before, though it does not read it."""

    @property
    def models(self) -> tuple[Path, ...]:
        """What the verb is called on."""
        if self.subject or self.verb in _ON_ALL:
            return self.sources
        source = self.sources[0]
        return (source.parent if self.verb in _OF_FOLDERS else source,)

    @property
    def copied(self) -> tuple[Path, ...]:
        """The sources that it leaves copies of, called the same, beside its targets."""
        return self.sources if self.verb == "bundle" else ()

    @property
    def shown(self) -> str:
        """What a line of the build calls it; empty: by its target."""
        return f"HF://{self.subject}, {self.options[1]}" if self.is_shared else ""

    @property
    def is_shared(self) -> bool:
        """Whether it makes what other builds use too, which none may remove."""
        return self.verb == "fetch"

    @property
    def output(self) -> Path:
        """What the verb is told to write."""
        target = self.targets[0]
        return target.parent if self.verb in _TO_FOLDERS else target


def plan(plan: Plan, folders: Folders) -> Iterator[Request]:
    """Yield what it takes to do all jobs of ``plan``."""
    for fetched in plan.fetched:
        yield from _fetch(fetched, weights=fetched.directory in plan.weighty)
    configs: dict[tuple[str, str | None], Path] = {}
    places = Places(folders.build)
    for job in plan.weights:
        directory = places.below(job.directory, job.model)
        configs[job.model_id, job.quantization] = directory / CHAT_CONFIG
        yield from weights(job, directory)
    for library_job in plan.libraries:
        made = configs.get((library_job.model_id, library_job.quantization))
        config = made or model_config(library_job)
        target = folders.output / library_job.library
        place = places.of(library_job.model_id, library_job.model)
        yield from library(library_job, config, target, folders, place)
    yield from (_prebuilt(each, folders, plan.fetched) for each in plan.prebuilt)
    if plan.static_lib is not None:
        yield _static_lib(plan.static_lib, folders)
    yield from (_bundle(bundle, folders, places) for bundle in plan.bundles)
    if plan.kind == "package":
        yield _app_config(plan, folders)


def _fetch(model: Fetched, *, weights: bool) -> Iterator[Request]:
    """Yield what brings the files of ``model`` here."""
    texts = tuple(model.directory / name for name, _ in model.texts)
    yield _part(model, "texts", texts, model.texts)
    if weights:
        whole = files.fetched_weights(model)
        yield _part(model, "weights", (whole,), model.weights)


def _part(
    model: Fetched,
    part: str,
    targets: tuple[Path, ...],
    digests: tuple[tuple[str, str], ...],
) -> Request:
    return Request(
        "fetch",
        targets,
        (),
        ("--part", part),
        (Fact.of("files", digests),),
        About(model.repository),
        (("--lock", model.lock),),
        subject=model.repository,
    )


def weights(job: WeightsJob, directory: Path) -> Iterator[Request]:
    """Yield what makes the model directory ``directory``."""
    about = About(job.model_id, job.quantization)
    scheme = ("--quantization", _quantization(job.quantization, job.recipe))
    names = (CHAT_CONFIG, *files.tokenizer_files(job.model, job.fetched))
    yield Request(
        "gen_config",
        tuple(directory / name for name in names),
        tuple(files.text_files(job.model, job.fetched)),
        (*scheme, "--conv-template", job.conv_template),
        (
            inputs.sources("convert", "package", "weights", "models"),
            inputs.installed("libraries", "tokenizers", "msgpack"),
        ),
        about,
    )
    exact = ("--float32", "raw") if job.exact_float32 else ()
    yield Request(
        "convert_weight",
        (directory / TENSOR_CACHE,),
        tuple(files.weight_files(job.model, job.fetched)),
        (*scheme, *exact),
        (
            inputs.sources("convert", "weights", "quant", "models"),
            inputs.installed("libraries", "numpy", "ml_dtypes"),
        ),
        about,
    )


def model_config(job: LibraryJob) -> Path:
    """Return the file in ``job.model`` that says what to compile."""
    return job.model / CONFIGS[job.kind]


def library(
    job: LibraryJob,
    config: Path,
    target: Path,
    folders: Folders,
    place: Path | None = None,
) -> Iterator[Request]:
    """Yield what makes the library ``target`` of the model with ``config``.

    Args:
        job: What it is to be.
        config: Of the model.
        target: The file.
        folders: Of the build.
        place: The folder of the model; None: it is called as the model.
    """
    normalized = _normalized(job, config, place or folders.build / job.model_id)
    made_with = compiling(
        job.device,
        target.suffix,
        opt=job.opt,
        host=job.host,
        mcpu=job.mcpu,
        archs=job.archs,
        prefix=job.system_lib_prefix,
    )
    linked: tuple[tuple[str, Path], ...] = ()
    if target.suffix == ".wasm":
        runtime = _web_runtime(job, folders)
        yield runtime
        linked = (("--web-runtime", runtime.output),)
    overrides = override_text(job.overrides) or None
    yield normalized
    yield Request(
        made_with.verb,
        (target,),
        (*normalized.targets, *(path for _, path in linked)),
        made_with.options,
        made_with.facts,
        About(job.model_id, job.quantization, job.device, overrides),
        linked,
        lacks=made_with.lacks,
    )


def _web_runtime(job: LibraryJob, folders: Folders) -> Request:
    """Return what makes the runtime that all libraries for the web hold."""
    made_with = web_runtime(job.device, job.host)
    return Request(
        made_with.verb,
        (folders.build / "web" / "runtime.o",),
        given_bitcode(),
        made_with.options,
        made_with.facts,
        About("web runtime"),
        lacks=made_with.lacks,
    )


def _normalized(job: LibraryJob, config: Path, place: Path) -> Request:
    overrides = override_text(job.overrides)
    variant = job.quantization or "as-given"
    if overrides:
        variant += f"-{digest_json(overrides)[:8]}"
    folder = place / "config" / variant
    # The config that this build makes of a checkpoint says its quantization itself, as
    # it does to a program that asks for the library later.
    says = job.kind == "checkpoint" and config.name == CHAT_CONFIG
    given = None
    if job.quantization is not None and not says:
        given = _quantization(job.quantization, job.recipe)
    own = config.name == MODEL_CONFIG
    read = files.text_files(job.model, job.fetched) if own else [config]
    made_with = normalizing(given, overrides, checkpoint=own)
    return Request(
        made_with.verb,
        (folder / COMPILE_CONFIG,),
        tuple(read),
        made_with.options,
        made_with.facts,
        About(job.model_id, job.quantization, overrides=overrides or None),
    )


def _quantization(name: str, recipe: QuantizationRecipe | None) -> str:
    """Return a quantization as a command line takes it: a scheme's name, or JSON."""
    if recipe is None:
        return name
    content = {"name": name, "base": recipe.base, "layers": dict(recipe.layers)}
    return json.dumps(content, separators=(",", ":"))


def _prebuilt(
    job: PrebuiltJob, folders: Folders, fetched: Collection[Fetched]
) -> Request:
    # What is fetched for nothing else is not fetched to look at a library.
    uses = [use for use in job.uses if use.fetched is None or use.fetched in fetched]
    configs = [use.model / CONFIGS[use.kind] for use in uses]
    schemes = (
        word
        for use in uses
        for word in (
            "--quantization",
            _quantization(use.quantization or AUTO, use.recipe),
        )
    )
    return Request(
        "prebuilt",
        (folders.output / job.library,),
        (job.source, *dict.fromkeys(configs)),
        ("--device", job.device, "--host", job.host, *schemes),
        (inputs.sources("prebuilt", "package"),),
        About(job.model_lib, device=job.device),
        tuple(("--model", config) for config in configs),
    )


def _static_lib(job: StaticLibJob, folders: Folders) -> Request:
    target = folders.output / job.library
    tools, missing = inputs.toolchain(job.device, AUTO, target.suffix)
    names = (word for name in job.names for word in ("--model-lib", name))
    return Request(
        "static_lib",
        (target,),
        tuple(folders.output / library for library in job.libraries),
        (*names, "--device", job.device),
        (*_packaging(), tools),
        About(device=job.device),
        lacks=missing,
    )


def _bundle(job: BundleJob, folders: Folders, places: Places) -> Request:
    if job.source:
        tokenizer = files.tokenizer_files(job.model, job.fetched)
        source = places.below(job.source, job.model)
        sources = [source / name for name in (TENSOR_CACHE, CHAT_CONFIG, *tokenizer)]
    else:
        sources = files.model_files(job.model, job.fetched)
    about = About(job.model_id)
    targets = _bundled(job, folders)
    return Request("bundle", targets, tuple(sources), (), _packaging(), about)


def _bundled(job: BundleJob, folders: Folders) -> tuple[Path, ...]:
    directory = folders.output / job.directory
    return directory / TENSOR_CACHE, directory / CHAT_CONFIG


def _app_config(plan: Plan, folders: Folders) -> Request:
    target = folders.output / "bundle" / APP_CONFIG
    rows = ((row.model_id, canonical_json(asdict(row))) for row in plan.app)
    facts = (*_packaging(), Fact.of("rows", rows))
    made = [job.library for job in plan.prebuilt]
    made += [job.library for job in plan.libraries]
    libraries = [folders.output / library for library in made]
    return Request(
        "app_config",
        (target,),
        (plan.spec, *libraries),
        (),
        facts,
        files=tuple(("--library", path) for path in libraries),
        after=tuple(path for job in plan.bundles for path in _bundled(job, folders)),
    )


def _packaging() -> tuple[Fact, ...]:
    return (inputs.sources("package", "package"),)
