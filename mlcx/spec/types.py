"""The frozen data that a spec resolves to: jobs and the plan.

Paths are as a person would write them: ``model`` is absolute, everything that is made
is relative to the output or the build folder, with ``/``. Nothing here reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = [
    "KINDS",
    "AppEntry",
    "BundleJob",
    "Fetched",
    "LibraryJob",
    "Overrides",
    "Plan",
    "PrebuiltJob",
    "QuantizationRecipe",
    "SourceKind",
    "StaticLibJob",
    "Use",
    "Verify",
    "WeightsJob",
]

Overrides = tuple[tuple[str, int | str | bool], ...]
"""Overrides of a model's config, sorted by key."""

SourceKind = Literal["checkpoint", "mlc"]
"""What ``model`` holds: a Hugging Face checkpoint, or an MLC model directory."""


@dataclass(frozen=True)
class Fetched:
    """A model of the hub, as a lock file pins it: files that a build first fetches."""

    repository: str
    """As the lock file calls it: ``user/name`` or ``user/name@revision``."""
    commit: str
    lock: Path
    """The lock file; absolute."""
    kind: SourceKind
    directory: Path
    """Where its files are kept; absolute."""
    texts: tuple[tuple[str, str], ...]
    """The small files that compiling and tokenizers need, each with its SHA-256."""
    weights: tuple[tuple[str, str], ...]
    """The others."""


@dataclass(frozen=True)
class QuantizationRecipe:
    """A mixed scheme that the spec declares, without its name."""

    base: str
    layers: tuple[tuple[str, str], ...]
    """Patterns of layers' names and their schemes; the last that matches counts."""


@dataclass(frozen=True)
class WeightsJob:
    """Turn a checkpoint into a model directory: its config, tokenizer and weights."""

    model_id: str
    model: Path
    quantization: str
    conv_template: str
    directory: str
    """The model directory to make, where models have their folders."""
    recipe: QuantizationRecipe | None = None
    """What ``quantization`` names; None: a scheme."""
    fetched: Fetched | None = None
    """What ``model`` is fetched as; None: it is a folder of the user's."""
    exact_float32: bool = False
    """Whether float32 is stored as it is, not as bfloat16."""


@dataclass(frozen=True)
class Verify:
    """How close a library must be to the checkpoint; None: nothing is asked of it."""

    max_kl: float | None
    """Largest mean KL divergence from the reference, in nats per token."""
    min_top1: float | None
    """Smallest share of tokens, 0 to 1, with the same most likely next token."""
    text: Path | None
    """The text to compare on; None: mlcx's own, or ids without a tokenizer."""
    tokens: int
    """Of the text, at most."""
    reference: str
    """Scheme of the model to compare with, one that does not quantize."""


@dataclass(frozen=True)
class LibraryJob:
    """Compile one library."""

    model_id: str
    model: Path
    kind: SourceKind
    quantization: str | None
    """Name of the scheme; None: the one that the MLC model directory names."""
    device: str
    opt: str
    overrides: Overrides
    system_lib_prefix: str | None
    host: str
    """LLVM triple, or ``auto`` for this machine's."""
    mcpu: str
    """LLVM CPU name, or ``auto``: this machine's when the host is, else a baseline."""
    library: str
    """The file to make, relative to the output folder."""
    verify: Verify | None = None
    """What it is held to once it is compiled."""
    recipe: QuantizationRecipe | None = None
    """What ``quantization`` names; None: a scheme, or what the model directory has."""
    archs: tuple[str, ...] = ()
    """Architectures of CUDA that its kernels are compiled for; none: the device's."""
    fetched: Fetched | None = None
    """What ``model`` is fetched as; None: it is a folder of the user's."""


@dataclass(frozen=True)
class Use:
    """A model of the spec that runs by a ready-made library."""

    model: Path
    kind: SourceKind
    quantization: str | None
    """Name of the scheme; None: the one that the MLC model directory names."""
    recipe: QuantizationRecipe | None = None
    """What ``quantization`` names; None: a scheme, or what the model directory has."""
    fetched: Fetched | None = None
    """What ``model`` is fetched as; None: it is a folder of the user's."""


@dataclass(frozen=True)
class PrebuiltJob:
    """Copy a library that the spec hands over ready-made, if it is what it must be."""

    model_lib: str
    source: Path
    """The library file; absolute."""
    library: str
    """The file to make, relative to the output folder."""
    device: str
    host: str
    """LLVM triple, or ``auto`` for the device's own or this machine's."""
    uses: tuple[Use, ...] = ()
    """None: no model of the spec names it."""


@dataclass(frozen=True)
class StaticLibJob:
    """Archive the libraries of an app as the one that it links."""

    device: str
    libraries: tuple[str, ...]
    """The files to archive, relative to the output folder."""
    names: tuple[str, ...]
    """What the app calls them; each must be found by its symbols."""
    library: str
    """The file to make, relative to the output folder."""


@dataclass(frozen=True)
class BundleJob:
    """Lay out a model directory for an app."""

    model_id: str
    model: Path
    kind: SourceKind
    source: str
    """The ``directory`` of the weights job that makes it; empty when ``model`` is the
    model directory itself."""
    directory: str
    """The folder to make, relative to the output folder."""
    fetched: Fetched | None = None
    """What ``model`` is fetched as; None: it is a folder of the user's."""


@dataclass(frozen=True)
class AppEntry:
    """One row of mlc-app-config.json, in MLC's order of keys."""

    model_id: str
    model_lib: str
    model_path: str | None
    model_url: str | None
    estimated_vram_bytes: int | None


KINDS = {"package": "package config", "delivery": "delivery spec"}
"""Kind of a spec to what a person calls it."""


@dataclass(frozen=True)
class Plan:
    """All jobs of one spec, in the order of the spec."""

    spec: Path
    kind: Literal["package", "delivery"]
    weights: tuple[WeightsJob, ...]
    libraries: tuple[LibraryJob, ...]
    bundles: tuple[BundleJob, ...]
    app: tuple[AppEntry, ...]
    """Rows of mlc-app-config.json; empty for a delivery."""
    prebuilt: tuple[PrebuiltJob, ...] = ()
    """Libraries to copy instead of compiling them; empty for a delivery."""
    static_lib: StaticLibJob | None = None
    """What the app links; None for a delivery and where an app loads libraries."""

    @property
    def kind_name(self) -> str:
        """Return what a person calls the spec."""
        return KINDS[self.kind]

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """Return the models of the hub, each once."""
        jobs: tuple[WeightsJob | LibraryJob | BundleJob, ...]
        jobs = (*self.weights, *self.libraries, *self.bundles)
        return tuple(dict.fromkeys(job.fetched for job in jobs if job.fetched))

    @property
    def weighty(self) -> frozenset[Path]:
        """Return the folders of models whose weights a job reads, not only texts."""
        verified = (job.model for job in self.libraries if job.verify is not None)
        converted = (job.model for job in self.weights)
        return frozenset((*verified, *converted, *(job.model for job in self.bundles)))
