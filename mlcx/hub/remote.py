"""The hub itself, behind two methods: what a repository holds, and one file's bytes.

Talks through huggingface_hub, which knows tokens, redirects, rate limits and how to go
on where a connection broke; what it cannot do becomes one message with a remedy.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from mlcx import __version__
from mlcx.errors import BuildError, MlcxError, UsageError
from mlcx.spec.hub import Repository

__all__ = ["Advance", "Hub", "HuggingFace", "Listing", "RemoteFile"]

Advance = Callable[[int], None]
"""Is told how many more bytes have come; fewer when some turned out to be useless."""

_WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before another try when the hub answers that it has failed itself."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_LARGEST = 50_000_000_000
"""Bytes of a file that the hub hands out over plain HTTP."""


@dataclass(frozen=True)
class RemoteFile:
    """A file, as the hub lists it."""

    name: str
    size: int
    sha256: str | None
    """Of a large one; the hub does not know it of a small one."""
    blob: str
    """Its id in git: the SHA-1 of its bytes behind a header."""


@dataclass(frozen=True)
class Listing:
    """What a repository holds at a commit."""

    commit: str
    files: tuple[RemoteFile, ...]


class Hub(Protocol):
    """Where models come from."""

    def listing(self, repository: Repository) -> Listing:
        """Return what ``repository`` holds at its revision now."""

    def download(
        self,
        repository: Repository,
        commit: str,
        name: str,
        size: int,
        path: Path,
        advance: Advance,
    ) -> None:
        """Write a file to ``path``; go on after the bytes that are there already."""


class HuggingFace:
    """The hub at ``endpoint``."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def listing(self, repository: Repository) -> Listing:
        """Return what ``repository`` holds at its revision now.

        Raises:
            UsageError: There is no such repository or revision, or it is closed.
            BuildError: The hub cannot be reached, or fails.
        """
        from huggingface_hub.utils import (  # noqa: PLC0415 (loads HTTP)
            hf_raise_for_status,
            http_backoff,
        )

        revision = quote(repository.revision, safe="")
        url = f"{self._endpoint}/api/models/{repository.id}/revision/{revision}"
        with self._explaining(repository):
            # HfApi.model_info asks the same, but only once.
            response = http_backoff(
                "GET",
                url,
                max_retries=3,
                headers=_headers(),
                params={"blobs": "true"},
                timeout=30,
            )
            hf_raise_for_status(response)
        return _listing(repository, response)

    def download(
        self,
        repository: Repository,
        commit: str,
        name: str,
        size: int,
        path: Path,
        advance: Advance,
    ) -> None:
        """Write a file to ``path``; go on after the bytes that are there already.

        Raises:
            UsageError: The file is closed to us.
            BuildError: The hub cannot be reached, fails, or sends another size.
        """
        if size > _LARGEST:
            message = f"{name} of {repository} has {size} bytes, more than the hub"
            raise BuildError(
                f"{message} sends over HTTP: convert a checkpoint in parts"
            )
        waits = iter(_WAITS)
        while True:
            try:
                with self._explaining(repository):
                    self._get(repository, commit, name, size, path, advance)
                return
            except _PassingError as again:
                wait = next(waits, None)
                if wait is None:
                    raise again.failure from None
            time.sleep(wait)

    def _get(
        self,
        repository: Repository,
        commit: str,
        name: str,
        size: int,
        path: Path,
        advance: Advance,
    ) -> None:
        from huggingface_hub import hf_hub_url  # noqa: PLC0415
        from huggingface_hub.file_download import http_get  # noqa: PLC0415

        url = hf_hub_url(repository.id, name, revision=commit, endpoint=self._endpoint)
        headers = {**_headers(), "Accept-Encoding": "identity"}
        there = path.stat().st_size if path.exists() else 0
        if there > size:
            path.unlink()
            there = 0
        # Its hf_hub_download would begin anew after a run that was killed.
        with path.open("r+b" if there else "wb") as file:
            file.seek(there)
            http_get(
                url,
                file,
                resume_size=there,
                headers=headers,
                expected_size=size,
                displayed_filename=name,
                tqdm_class=_forwarding(advance),
            )

    @contextlib.contextmanager
    def _explaining(self, repository: Repository) -> Iterator[None]:
        """Turn what HTTP raises into a message."""
        import httpx2  # noqa: PLC0415
        from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

        try:
            yield
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in _TRANSIENT:
                message = f"{self._endpoint} answers {status} for {repository}"
                remedy = "try again later; what has come so far is kept"
                raise _PassingError(BuildError(f"{message}: {remedy}")) from error
            raise self._refusal(repository, status, error) from error
        except (httpx2.HTTPError, UnicodeError) as error:  # of names of hosts, too
            reason = str(error) or type(error).__name__
            message = f"{self._endpoint} cannot be reached for {repository} ({reason})"
            remedy = "try again when it can; what has come so far is kept"
            raise BuildError(f"{message}: {remedy}") from error
        except OSError as error:
            if error.errno is not None:
                raise  # of the disk
            first = str(error).partition("\n")[0]
            raise BuildError(f"{repository}: {first} Try again") from error

    def _refusal(
        self, repository: Repository, status: int, error: Exception
    ) -> MlcxError:
        from huggingface_hub import errors, get_token  # noqa: PLC0415

        page = f"{self._endpoint}/{repository.id}"
        token = "the HF_TOKEN in use" if get_token() else "without HF_TOKEN"
        if isinstance(error, errors.GatedRepoError):
            message = f"{repository} is gated and not open to you ({token})"
            remedy = f"accept its terms at {page} and set HF_TOKEN to your token"
        elif isinstance(error, errors.RevisionNotFoundError):
            message = f"{repository.id} has no revision {repository.revision!r}"
            remedy = f"see {page}/commits for its branches, tags and commits"
        elif status in {401, 403, 404}:
            message = f"{repository} is not there, or not for you ({token}; {status})"
            remedy = "check its name; for a private one set HF_TOKEN to your token"
        else:
            return BuildError(f"{self._endpoint} answers {status} for {repository}")
        return UsageError(f"{message}: {remedy}")


class _PassingError(MlcxError):
    """The hub failed in a way that may pass."""

    def __init__(self, failure: BuildError) -> None:
        super().__init__(str(failure))
        self.failure = failure


def _headers() -> dict[str, str]:
    """Return who asks, and for whom.

    The library's own would also tell what else is installed and running here, and ask
    the hub once a day what to look for.
    """
    from huggingface_hub import get_token  # noqa: PLC0415

    token = get_token()
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return {"User-Agent": f"mlcx/{__version__}", **bearer}


def _listing(repository: Repository, response: Any) -> Listing:
    try:
        content = response.json()
        files = tuple(_file(each) for each in content["siblings"])
        return Listing(str(content["sha"]), files)
    except (KeyError, TypeError, ValueError) as error:
        message = f"what {response.url} answers for {repository} is no list of files"
        raise BuildError(f"{message} ({error!r}): is HF_ENDPOINT a hub?") from error


def _file(entry: Any) -> RemoteFile:
    large = entry.get("lfs") or {}
    size = large.get("size", entry.get("size"))
    sha256, blob = large.get("sha256"), entry.get("blobId")
    return RemoteFile(str(entry["rfilename"]), int(size), sha256, str(blob))


def _forwarding(advance: Advance) -> type[Any]:
    """Return a class that stands in for tqdm's: one bar shows all files together."""

    class Forwarding:
        def __init__(self, **_: object) -> None:
            """Take what a bar would show."""

        def update(self, nbytes: int) -> None:
            advance(int(nbytes))

        def __enter__(self) -> Forwarding:
            return self

        def __exit__(self, *_: object) -> None:
            """Leave the shared bar open."""

    return Forwarding
