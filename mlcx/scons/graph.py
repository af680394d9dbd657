"""From jobs to SCons nodes: which step makes what, and what each depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from SCons.Subst import Literal

from mlcx.artifact import (
    APP_CONFIG,
    CHAT_CONFIG,
    COMPILE_CONFIG,
    TENSOR_CACHE,
    library_info,
)
from mlcx.scons import commands, inputs
from mlcx.scons.builders import BUILDERS
from mlcx.scons.parts import differs, fault, made_beside
from mlcx.scons.report import About
from mlcx.scons.session import Declared, Session
from mlcx.scons.step import Step
from mlcx.spec.digest import digest_json
from mlcx.spec.types import BundleJob, LibraryJob, Plan, PrebuiltJob, WeightsJob

__all__ = ["Graph", "Nodes"]

Nodes = list[Any]
"""Nodes of SCons."""


class Graph:
    """Declares steps in an environment; an equal step is declared once."""

    def __init__(self, env: Any, session: Session) -> None:
        self._env = env.Clone(tools=[])
        # Hash only what has another time stamp: weights are large.
        self._env.Decider("content-timestamp")
        self._session = session

    def plan(self, plan: Plan) -> Nodes:
        """Declare all jobs of ``plan``; return the nodes that they make."""
        nodes: Nodes = []
        chats: dict[tuple[str, str | None], Path] = {}
        for weights in plan.weights:
            directory = self._session.build / weights.directory
            nodes += self.weights(weights, directory)
            chats[weights.model_id, weights.quantization] = directory / CHAT_CONFIG
        for library in plan.libraries:
            chat = chats.get((library.model_id, library.quantization))
            config = chat or model_config(library)
            nodes += self.library(
                library, config, self._session.output / library.library
            )
        for ready in plan.prebuilt:
            nodes += self._prebuilt(ready)
        for bundle in plan.bundles:
            nodes += self.bundle(bundle)
        return nodes + (self._app(plan) if plan.kind == "package" else [])

    def weights(self, job: WeightsJob, directory: Path) -> Nodes:
        """Declare the steps that make the model directory ``directory``."""
        about = About(job.model_id, job.quantization)
        names = [CHAT_CONFIG, *commands.tokenizers(job.model)]
        config = self._step(
            "gen_config",
            [directory / name for name in names],
            commands.checkpoint_texts(job.model),
            about,
            commands.gen_config_options(job),
            [inputs.sources("package", "weights", "models")],
        )
        weights = self._step(
            "convert_weight",
            [directory / TENSOR_CACHE],
            commands.checkpoint_weights(job.model),
            about,
            commands.convert_options(job),
            [inputs.sources("weights", "quant", "models")],
        )
        return config + weights

    def library(self, job: LibraryJob, config: Path, library: Path) -> Nodes:
        """Declare the steps that make ``library`` of the model with ``config``."""
        text = commands.overrides_text(job.overrides)
        about = About(job.model_id, job.quantization, job.device, text or None)
        facts = [inputs.sources("compiler"), inputs.tvm(), inputs.linker()]
        if job.host == "auto" and job.mcpu == "auto":
            facts.append(inputs.host())
        nodes = self._step(
            "compile",
            [library, library_info(library)],
            [self._normalized(job, config)],
            about,
            commands.compile_options(job),
            facts,
        )
        if self._session.services.policy.always:
            self._env.AlwaysBuild(nodes)
        return nodes

    def bundle(self, job: BundleJob) -> Nodes:
        """Declare the step that lays out a model directory for an app."""
        directory = self._session.output / job.directory
        targets = [directory / TENSOR_CACHE, directory / CHAT_CONFIG]
        if job.source:
            source = self._session.build / job.source
            names = [TENSOR_CACHE, CHAT_CONFIG, *commands.tokenizers(job.model)]
            sources = [source / name for name in names]
        else:
            source = job.model
            sources = commands.model_directory(job.model)
        facts = [inputs.sources("package")]
        nodes = self._step("bundle", targets, sources, About(job.model_id), [], facts)
        for copy in targets:
            self._remake(nodes, differs(copy, source / copy.name))
        copies = [directory / path.name for path in sources]
        self._clean(nodes, [copy for copy in copies if copy not in targets])
        return nodes

    def _prebuilt(self, job: PrebuiltJob) -> Nodes:
        library = self._session.output / job.library
        facts = [inputs.sources("package")]
        about = About(job.model_lib)
        return self._step("prebuilt", [library], [job.source], about, [], facts)

    def _app(self, plan: Plan) -> Nodes:
        target = self._session.output / "bundle" / APP_CONFIG
        rows = f"rows {plan.app!r}"
        facts = [inputs.sources("package"), rows]
        return self._step("app_config", [target], [plan.spec], About(), [], facts)

    def _normalized(self, job: LibraryJob, config: Path) -> Path:
        name = "-".join(filter(None, (job.model_id, job.quantization)))
        text = commands.overrides_text(job.overrides)
        variant = digest_json(text)[:8]
        folder = self._session.build / "config" / name / variant
        about = About(job.model_id, job.quantization, overrides=text or None)
        self._step(
            "normalize",
            [folder / COMPILE_CONFIG],
            [config],
            about,
            commands.normalize_options(job),
            [inputs.sources("compiler")],
        )
        return folder / COMPILE_CONFIG

    def _step(
        self,
        verb: str,
        targets: Sequence[Path],
        sources: Sequence[Path],
        about: About,
        options: list[str],
        facts: list[str],
    ) -> Nodes:
        files = [self._file(path) for path in targets]
        names = tuple(file.get_internal_path() for file in files)
        request = (verb, tuple(sources), tuple(options))
        known = self._session.find(names[0], request)
        if known:
            return list(known.nodes)
        step = Step(verb, names, self._log(names[0]), about, self._session.services)
        nodes = BUILDERS[verb](
            self._env,
            files,
            [self._file(path) for path in sources],
            MLCX_VERB=verb,
            MLCX_OPTIONS=[Literal(option) for option in options],
            ENV=self._env["MLCX_ENV"],
            SPAWN=step,
            ESCAPE=str,
            # The interpreter is no input: the packages that it loads are named.
            IMPLICIT_COMMAND_DEPENDENCIES=False,
        )
        self._env.Depends(nodes, [self._env.Value(fact) for fact in facts])
        # A step replaces its target in one go: SCons must not remove it before.
        self._env.Precious(nodes)
        self._session.add(Declared(step, request, nodes))
        for target in targets:
            self._remake(nodes, fault(target) if target.exists() else "")
        self._clean(nodes, [self._session.top / step.log, *made_beside(targets)])
        return list(nodes)

    def _remake(self, nodes: Nodes, reason: str) -> None:
        if reason and self._session.mode.builds:
            self._session.services.reporter.note(f"{reason}: making it again")
        if reason:
            self._env.AlwaysBuild(nodes)

    def _clean(self, nodes: Nodes, files: Iterable[Path]) -> None:
        if self._session.mode.cleans:
            self._env.Clean(nodes, [self._file(path) for path in files])

    def _log(self, target: str) -> str:
        name = target.strip("/").replace("/", "_") + ".log"
        path = self._file(self._session.build / "log" / name)
        return str(path.get_internal_path())

    def _file(self, path: Path) -> Any:
        return self._env.fs.File(str(path))


def model_config(job: LibraryJob) -> Path:
    """Return the file in ``job.model`` that says what to compile."""
    return job.model / (CHAT_CONFIG if job.kind == "mlc" else "config.json")
