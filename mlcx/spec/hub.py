"""Models on the Hugging Face hub: how specs name them, and where they are kept here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mlcx.errors import UsageError
from mlcx.home import home
from mlcx.spec.address import address

__all__ = [
    "MAIN",
    "POLICY",
    "DownloadPolicy",
    "HubSettings",
    "Repository",
    "is_remote",
]

POLICY = "MLC_DOWNLOAD_CACHE_POLICY"
_ENDPOINT = "https://huggingface.co"
MAIN = "main"
"""The branch that is meant where none is named."""

_FORM = "HF://user/repository, with @revision if not its main branch"

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
_REVISION = "[A-Za-z0-9][A-Za-z0-9._/-]*"
_SHORT = re.compile(rf"({_NAME})/({_NAME})(?:@({_REVISION}))?")
_PAGE = re.compile(rf"/({_NAME})/({_NAME})(?:/tree/({_REVISION}?))?/?")


class DownloadPolicy(Enum):
    """What is done with a model of the hub, as MLC's variable says."""

    ON = "take what is here, download what is missing"
    REDO = "download, also what is here"
    READONLY = "take what is here, else fail"
    OFF = "fail, also for what is here"

    @property
    def always(self) -> bool:
        """Whether also what is here is looked at again."""
        return self in {DownloadPolicy.REDO, DownloadPolicy.OFF}

    @property
    def downloads(self) -> bool:
        """Whether downloading is allowed at all."""
        return self in {DownloadPolicy.ON, DownloadPolicy.REDO}


@dataclass(frozen=True)
class Repository:
    """A repository of models, at a revision: a branch, a tag or a commit."""

    user: str
    name: str
    revision: str = MAIN

    @property
    def id(self) -> str:
        """As the hub calls it."""
        return f"{self.user}/{self.name}"

    @property
    def key(self) -> str:
        """As a lock file and a command line call it."""
        return self.id if self.revision == MAIN else f"{self.id}@{self.revision}"

    @property
    def url(self) -> str:
        """Where an app finds it, as MLC's apps expect it: the main branch."""
        return f"{_ENDPOINT}/{self.id}"

    def __str__(self) -> str:
        return f"HF://{self.key}"

    @classmethod
    def of_key(cls, key: str) -> Repository | None:
        """Return what ``key`` names; None: it is no key."""
        found = _SHORT.fullmatch(key)
        if found is None or ".." in key:
            return None
        return cls(found[1], found[2], found[3] or MAIN)

    @classmethod
    def parse(cls, model: str, endpoint: str) -> Repository:
        """Return what ``model`` names: ``HF://user/name`` or an address of the hub.

        Args:
            model: As a spec or a command line has it.
            endpoint: Address of the hub in use, besides huggingface.co.

        Raises:
            UsageError: It is neither.
        """
        found, parts = None, address(model)
        hosts = {known.netloc for known in map(address, _hubs(endpoint)) if known}
        if model.startswith("HF://"):
            found = cls.of_key(model.removeprefix("HF://"))
        elif parts is not None and parts.netloc in hosts:
            page = _PAGE.fullmatch(parts.path)
            if page is not None and ".." not in model and model.endswith(page[0]):
                found = cls(page[1], page[2], page[3] or MAIN)
        else:
            hubs = " or ".join(_hubs(endpoint))
            message = f"models come from {hubs}, not from {model}"
            raise UsageError(f"{message}: name a folder, or {_FORM}")
        if found is None:
            raise UsageError(f"expected {_FORM}, found {model}")
        return found


def _hubs(endpoint: str) -> list[str]:
    return list(dict.fromkeys([_ENDPOINT, endpoint]))


def is_remote(model: str) -> bool:
    """Say whether ``model`` is meant to name something that is not on this machine."""
    return model.startswith(("HF://", "https://", "http://"))


@dataclass(frozen=True)
class HubSettings:
    """What the environment says of models from the hub."""

    home: Path
    endpoint: str
    policy: DownloadPolicy
    offline: bool
    read_only: tuple[Path, ...]
    """Folders with models, laid out as MLC does, that are only read."""
    cache: Path
    """The folder of the hub's own library, and so of other programs."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> HubSettings:
        """Read the variables of MLC and of the hub's own library.

        Raises:
            UsageError: One has a value that means nothing.
        """
        name = environ.get(POLICY) or DownloadPolicy.ON.name
        if name not in DownloadPolicy.__members__:
            known = ", ".join(DownloadPolicy.__members__)
            raise UsageError(f"{POLICY}: expected one of {known}, found {name!r}")
        endpoint = (environ.get("HF_ENDPOINT") or _ENDPOINT).rstrip("/")
        parts = address(endpoint)
        if parts is None or parts.scheme not in {"https", "http"} or not parts.netloc:
            raise UsageError(f"HF_ENDPOINT: expected https://…, found {endpoint!r}")
        offline = environ.get("HF_HUB_OFFLINE") or environ.get("TRANSFORMERS_OFFLINE")
        return cls(
            home(environ),
            endpoint,
            DownloadPolicy[name],
            (offline or "").upper() in {"1", "ON", "YES", "TRUE"},
            _folders(environ.get("MLC_LLM_READONLY_WEIGHT_CACHE", "")),
            _cache(environ),
        )

    def folder(self, repository: Repository, commit: str) -> Path:
        """Return where the files of ``commit`` are kept; it may not exist yet."""
        return self.weights / "commits" / repository.user / repository.name / commit

    def published(self, repository: Repository) -> Path:
        """Return where MLC's own programs look for the files, of one commit."""
        return self.weights / "hf" / repository.user / repository.name

    def elsewhere(self, repository: Repository, commit: str) -> tuple[Path, ...]:
        """Return the folders in which others may have put files of it already.

        That of the hub's library is laid out as its guide "Understand caching" says.
        """
        below = Path("hf", repository.user, repository.name)
        known = (folder / below for folder in self.read_only)
        name = f"models--{repository.user}--{repository.name}"
        snapshot = self.cache / name / "snapshots" / commit
        return (*known, self.published(repository), snapshot)

    @property
    def lock(self) -> Path:
        """What models named on command lines, where no spec is, were found to be."""
        return self.weights / "mlcx.lock.json"

    @property
    def weights(self) -> Path:
        """The folder of all models; it may not exist yet."""
        return self.home / "model_weights"


def _folders(text: str) -> tuple[Path, ...]:
    return tuple(Path(each).absolute() for each in text.split(os.pathsep) if each)


def _cache(environ: Mapping[str, str]) -> Path:
    """Return what the constant ``HF_HUB_CACHE`` of the hub's library is."""
    user = environ.get("XDG_CACHE_HOME", "~/.cache")
    main = environ.get("HF_HOME", f"{user}/huggingface")
    older = environ.get("HUGGINGFACE_HUB_CACHE", f"{main}/hub")
    found = environ.get("HF_HUB_CACHE", older)
    return Path(os.path.expandvars(found)).expanduser()
