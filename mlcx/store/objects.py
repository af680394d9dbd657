"""The second level of a store: any object store that ``obstore`` knows, by its URL.

Nothing there is ever overwritten: of several writers the first one wins.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlcx.errors import UsageError
from mlcx.spec.address import address
from mlcx.store.wording import public, reason

if TYPE_CHECKING:
    from asyncio import Semaphore

__all__ = ["SCHEMES", "Listed", "ObjectStore", "Objects"]

SCHEMES = ("s3", "gs", "az", "https", "http", "file")
"""What the URL of an object store may begin with."""


@dataclass(frozen=True)
class Listed:
    """One name of an object store."""

    name: str
    size: int
    """Bytes."""
    written: float
    """Seconds since 1970."""


class Objects(Protocol):
    """Content by name, on another machine.

    What goes wrong is an ``OSError`` whose text is one line.
    """

    @property
    def url(self) -> str:
        """Where it is, without secrets."""

    def text(self, name: str) -> bytes | None:
        """Return what is small, soon or not at all; None: there is no ``name``."""

    def texts(self, names: Iterable[str]) -> list[bytes | None]:
        """Return what ``text`` says of each, many of them asked for at once."""

    def read(self, name: str) -> Iterator[bytes] | None:
        """Yield the content of ``name`` in blocks; None: there is none."""

    def holds(self, name: str) -> bool:
        """Whether there is ``name``, of which no content is read."""

    def write(self, name: str, content: bytes | Path) -> bool:
        """Store ``content``; False: there is something under ``name``, which stays."""

    def remove(self, name: str) -> None:
        """Remove ``name``."""

    def listed(self, folder: str) -> Iterator[Listed]:
        """Yield all that is in ``folder``."""


_SHORT, _LONG = "10s", "300s"
"""How long one request may take, of which there are three: a text, or any content.

Texts are asked for first: with a server that says nothing that is all the time lost.
"""

_AT_ONCE = 32
"""Texts that are asked for at one time."""


class ObjectStore:
    """An object store of a cloud, a web server with PUT, or a folder."""

    def __init__(self, url: str, *, creates: bool = True) -> None:
        """Take the store at ``url``; credentials come from its environment variables.

        Args:
            url: Of a bucket, a server or a folder.
            creates: Make a folder that is not there.

        Raises:
            UsageError: There is no such kind of URL, or no such folder, or obstore is
                not installed.
        """
        self.url, parts = public(url), address(url)
        if parts is None or parts.scheme not in SCHEMES:
            known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise UsageError(f"cache {self.url!r}: expected a URL with one of {known}")
        if parts.scheme == "file" and not (creates or Path(parts.path).is_dir()):
            raise UsageError(f"cache {self.url}: there is no such folder")
        try:
            library: Any = importlib.import_module("obstore")
        except ImportError as error:
            message = f"cache {self.url} needs obstore: pip install 'mlcx[cache]'"
            raise UsageError(message) from error
        self._library, self._url = library, url
        open_it = library.store.from_url
        try:
            self._store: Any = open_it(url, **_options(parts.scheme, _LONG, creates))
            self._quick: Any = open_it(url, **_options(parts.scheme, _SHORT, creates))
        except (library.exceptions.BaseError, ValueError) as error:
            raise UsageError(f"cache {self.url}: {reason(error, url)}") from error

    def text(self, name: str) -> bytes | None:
        """Return what is small, soon or not at all; None: there is no ``name``."""
        found = self._get(self._quick, name)
        return None if found is None else b"".join(found)

    def texts(self, names: Iterable[str]) -> list[bytes | None]:
        """Return what ``text`` says of each, many of them asked for at once."""
        import asyncio  # noqa: PLC0415 (only where there are many)

        async def asked() -> list[bytes | None]:
            limit = asyncio.Semaphore(_AT_ONCE)
            return await asyncio.gather(*(self._text(each, limit) for each in names))

        with self._in_one_line():
            return asyncio.run(asked())

    async def _text(self, name: str, limit: Semaphore) -> bytes | None:
        async with limit:
            try:
                found = await self._library.get_async(self._quick, name)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    def read(self, name: str) -> Iterator[bytes] | None:
        """Yield the content of ``name`` in blocks; None: there is none."""
        return self._get(self._store, name)

    def holds(self, name: str) -> bool:
        """Whether there is ``name``, of which no content is read."""
        with self._in_one_line():
            try:
                self._library.head(self._store, name)
            except FileNotFoundError:
                return False
        return True

    def _get(self, store: Any, name: str) -> Iterator[bytes] | None:
        with self._in_one_line():
            try:
                return self._blocks(self._library.get(store, name))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes | Path) -> bool:
        """Store ``content``; False: there is something under ``name``, which stays."""
        errors = self._library.exceptions
        with self._in_one_line():
            try:
                self._put(name, content, mode="create")
                return True
            except errors.AlreadyExistsError:
                return False
            except (errors.NotSupportedError, NotImplementedError):
                return self._write_slowly(name, content)

    def remove(self, name: str) -> None:
        """Remove ``name``."""
        with self._in_one_line(), suppress(FileNotFoundError):
            self._library.delete(self._store, name)

    def listed(self, folder: str) -> Iterator[Listed]:
        """Yield all that is in ``folder``."""
        with self._in_one_line(), suppress(FileNotFoundError):
            for part in self._library.list(self._store, folder):
                for each in part:
                    written = each["last_modified"].timestamp()
                    yield Listed(each["path"], each["size"], written)

    def _write_slowly(self, name: str, content: bytes | Path) -> bool:
        """Write where there are no conditions: web servers."""
        if self.holds(name):
            return False
        self._put(name, content, mode="overwrite")
        return True

    def _put(self, name: str, content: bytes | Path, mode: str) -> None:
        # In parts, content could not be written on condition.
        self._library.put(self._store, name, content, mode=mode, use_multipart=False)

    def _blocks(self, found: Any) -> Iterator[bytes]:
        with self._in_one_line():
            for block in found.stream():
                yield bytes(block)

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        """Turn all that goes wrong into what the protocol says."""
        try:
            yield
        except (self._library.exceptions.BaseError, OSError, ValueError) as error:
            raise OSError(f"{self.url}: {reason(error, self._url)}") from error


def _options(scheme: str, patience: str, creates: bool) -> Mapping[str, Any]:
    if scheme == "file":
        return {"mkdir": creates}
    client = {"connect_timeout": "5s", "timeout": patience}
    if scheme != "https":  # an endpoint without TLS must be named to be used
        client["allow_http"] = "true"
    retries = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
    return {"client_options": client, "retry_config": retries}
