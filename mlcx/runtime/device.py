"""A compiled library on a device: the one module here that knows TVM.

Only TVM's runtime library (3 MB) and its foreign function interface are loaded, never
the compiler: starting is several times faster and lighter than with ``import tvm``.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tvm_ffi
from numpy.typing import NDArray

from mlcx.errors import BuildError, InputError, MlcxError, UsageError
from mlcx.runtime import provenance
from mlcx.runtime.metadata import Metadata, parse
from mlcx.runtime.model import Function, Logits
from mlcx.runtime.threads import set_threads

__all__ = ["DEVICES", "PAGE", "Library", "LoadedModel", "open_library"]

DEVICES: dict[str, int] = {"cpu": 1}
"""Device to its type in DLPack."""

PAGE = 16
"""Tokens of one page of the cache; the kernels are made for it."""

_HISTORY = 1
"""States kept of each sequence by a recurrent model: only the one it goes on from."""

_POOLED, _HOST = 2, (1, 0, 2)
"""The kind of allocator; type, index and allocator of the device for shapes."""

_RUNTIME = {"darwin": "libtvm_runtime.dylib", "win32": "tvm_runtime.dll"}


def open_library(file: Path, device: str, threads: int | None = None) -> Library:
    """Load a compiled library, ready to be asked for its metadata.

    Args:
        file: The library.
        device: One of DEVICES.
        threads: That kernels on the CPU run on, the first time one does; None: one for
            each core.

    Raises:
        UsageError: This runtime does not know the device.
        InputError: The file is no model library, or not one that can run here.
    """
    if device not in DEVICES:
        known = ", ".join(DEVICES)
        raise UsageError(f"device {device}: this runtime runs on {known}")
    provenance.check(file, device)
    set_threads(threads)
    _load_runtime()
    try:
        module = tvm_ffi.load_module(str(file.resolve()))["vm_load_executable"]()
        module["vm_initialization"](DEVICES[device], 0, _POOLED, *_HOST)
        text = str(module["_metadata"]())
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        more = provenance.explain(file, device)
        message = f"not a model library for this machine: {_first_line(error)}{more}"
        raise InputError.in_file(file, message) from error
    return Library(file, device, module, parse(text, file))


def _load_runtime() -> None:
    spec = importlib.util.find_spec("tvm")
    if spec is None or spec.origin is None:
        raise BuildError("TVM is not installed: pip install mlcx installs it")
    name = _RUNTIME.get(sys.platform, "libtvm_runtime.so")
    ctypes.CDLL(str(Path(spec.origin).parent / "lib" / name), ctypes.RTLD_GLOBAL)


class Library:
    """A loaded library without weights; made by ``open_library``."""

    def __init__(
        self, file: Path, device: str, module: Any, metadata: Metadata
    ) -> None:
        self.file = file
        self.metadata = metadata
        self.device = tvm_ffi.device(device, 0)
        self._module = module

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function of the library.

        Raises:
            InputError: It has no such function.
        """
        if not self._module.implements_function(name):
            raise InputError.in_file(self.file, f"the library has no function {name}")
        found: Callable[..., Any] = self._module.get_function(name)
        return found

    def load_weights(self, directory: Path) -> Any:
        """Return the parameters in ``directory``, in the library's order, as one tuple.

        The files must have passed ``weights.check``.
        """
        kind, index = self.device.dlpack_device_type(), self.device.index
        names = [parameter.name for parameter in self.metadata.parameters]
        with _failing(f"loading the weights in {directory}"):
            _builtin("tensor_cache.load")(str(directory), kind, index)
            try:
                return _builtin("param_array_from_cache_by_name")(names)
            finally:
                _builtin("tensor_cache.clear")()

    def create_state(self, sequences: int, tokens: int) -> Any:
        """Return what the model keeps of its sequences, ``tokens`` long in all."""
        if self.metadata.state_kind == "kv_cache":
            return self._create_cache(sequences, tokens)
        with _failing(f"reserving states for {sequences} sequences"):
            create = self.function("create_rnn_state")
            return create(tvm_ffi.Shape((sequences,)), tvm_ffi.Shape((_HISTORY,)))

    def _create_cache(self, sequences: int, tokens: int) -> Any:
        """Return a paged cache of keys and values."""
        sliding = self.metadata.sliding_window_size > 0
        sizes = (
            sequences,
            tokens,
            self.metadata.prefill_chunk_size,
            PAGE,
            int(sliding),
        )
        with _failing(f"reserving a cache for {tokens} tokens"):
            create = self.function("create_tir_paged_kv_cache")
            return create(*(tvm_ffi.Shape((size,)) for size in sizes))


class LoadedModel:
    """A library with its weights and a cache or states; methods as in ``model.Model``.

    Args:
        library: From ``open_library``.
        directory: Holds the weights.
        sequences: Most sequences at a time.
        tokens: Most tokens in the cache, over all sequences; rounded up to pages. A
            recurrent model has no such limit.
    """

    def __init__(
        self, library: Library, directory: Path, sequences: int, tokens: int
    ) -> None:
        self.metadata = library.metadata
        self._library = library
        self._weights = library.load_weights(directory)
        self._state = library.create_state(sequences, tokens)
        self._begin = _builtin("kv_state_begin_forward")
        self._end = _builtin("kv_state_end_forward")
        self._reshape = _builtin("reshape")

    def add(self, sequence: int) -> None:
        """Start an empty sequence, with the library's sliding window if it has one."""
        _builtin("kv_state_add_sequence")(self._state, sequence)
        if (window := self.metadata.sliding_window_size) > 0:
            sink = max(self.metadata.attention_sink_size, 0)
            slide = _builtin("attention_kv_cache_enable_sliding_window_for_seq")
            slide(self._state, sequence, window, sink)

    def remove(self, sequence: int) -> None:
        """Forget a sequence and free its pages."""
        _builtin("kv_state_remove_sequence")(self._state, sequence)

    def forward(
        self,
        function: Function,
        tokens: Mapping[int, Sequence[int]],
        positions: Sequence[int] | None = None,
    ) -> Logits:
        """Append tokens to sequences and return logits; see ``model.Model``."""
        lengths = [len(part) for part in tokens.values()]
        flat = np.array([one for part in tokens.values() for one in part], np.int32)
        call = self._library.function(function)
        with _failing(function):
            arguments = [self._embed(flat, by_row=function.endswith("decode"))]
            if function == "batch_prefill":
                last = np.cumsum(lengths) - 1 if positions is None else positions
                arguments.append(self._upload(np.asarray(last, np.int32)))
            self._begin(self._state, tvm_ffi.Shape(tokens), tvm_ffi.Shape(lengths))
            try:
                result = call(*arguments, self._state, self._weights)
            finally:
                self._end(self._state)
            return _download(result[0])

    def _embed(self, tokens: NDArray[np.int32], by_row: bool) -> Any:
        """Return (n, 1, hidden) for a decode, else (1, n, hidden)."""
        hidden = self._library.function("embed")(self._upload(tokens), self._weights)
        rows, width = hidden.shape
        shape = (rows, 1, width) if by_row else (1, rows, width)
        return self._reshape(hidden, tvm_ffi.Shape(shape))

    def _upload(self, array: NDArray[np.int32]) -> Any:
        """Copy to memory of TVM's: compiled code relies on its alignment."""
        allocate = tvm_ffi.get_global_func("runtime.TVMTensorAllocWithScope")
        shape, kind = tvm_ffi.Shape(array.shape), str(array.dtype)
        tensor = allocate(shape, kind, self._library.device, None)
        copy = tvm_ffi.get_global_func("runtime.TVMTensorCopyFromBytes")
        copy(tensor, ctypes.c_void_p(array.ctypes.data), array.nbytes)
        return tensor


def _download(logits: Any) -> Logits:
    """Copy float32 logits of any shape (…, vocabulary) to (rows, vocabulary)."""
    array = np.empty(logits.shape, np.float32)
    copy = tvm_ffi.get_global_func("runtime.TVMTensorCopyToBytes")
    copy(logits, ctypes.c_void_p(array.ctypes.data), array.nbytes)
    return array.reshape(-1, array.shape[-1])


def _builtin(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = tvm_ffi.get_global_func(f"vm.builtin.{name}")
    return found


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Turn what TVM raises into an error that says what failed."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        raise MlcxError(f"{what} failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
