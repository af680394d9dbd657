"""Generates tokens for one or several prompts at a time.

Each step admits what waits, feeds one chunk of prompts, then one token of every request
whose prompt is through; so a long prompt delays the others by a chunk, not by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from itertools import count

from mlcx.errors import MlcxError, UsageError
from mlcx.runtime.model import Function, Logits, Model
from mlcx.runtime.request import Request
from mlcx.runtime.sampler import Sampler, Sampling
from mlcx.runtime.scheduler import Scheduler

__all__ = ["Engine"]


class Engine:
    """Runs requests on a model.

    Args:
        model: Its cache must hold ``slots`` sequences of ``context`` tokens each.
        slots: Requests that run at the same time; more wait.
        context: Most tokens of one request, prompt and output together.
        vocabulary: Token ids from here on are neither accepted nor generated.
    """

    def __init__(self, model: Model, slots: int, context: int, vocabulary: int) -> None:
        self._model = model
        self._context = context
        self._vocabulary = vocabulary
        self._scheduler = Scheduler(slots, model.metadata.prefill_chunk_size)
        self._names = count()

    def submit(self, prompt: Sequence[int], sampling: Sampling) -> Request:
        """Queue a request, to be run by ``step``.

        Raises:
            UsageError: The prompt is empty, leaves no room in the context, or has an id
                that is not in the vocabulary.
        """
        self._check(prompt)
        sampler = Sampler(sampling, self._vocabulary)
        request = Request(next(self._names), tuple(prompt), sampling, sampler)
        self._scheduler.submit(request)
        return request

    def step(self) -> bool:
        """Run the model for all requests that can go on; return whether any is left.

        Those of one call that fails finish with its error, the others go on.
        """
        for request in self._scheduler.admit():
            self._model.add(request.sequence)
        self._feed(self._scheduler.prefill(), "prefill", "batch_prefill")
        self._feed(self._scheduler.decode(), "decode", "batch_decode")
        return not self._scheduler.idle

    def cancel(self, request: Request) -> None:
        """End a request before its time; does nothing to a finished one."""
        if request.finish is None:
            request.finish = "cancelled"
            self._release(request)

    def follow(self, request: Request) -> Generator[int, None, None]:
        """Yield the tokens of a request as they come, running the engine for them.

        Other requests go on meanwhile. Closing the iterator cancels the request, at any
        time, and so does forgetting it.

        Raises:
            MlcxError: The request failed, after its last token.
        """
        tokens = self._follow(request)
        next(tokens)
        return tokens

    def _follow(self, request: Request) -> Generator[int, None, None]:
        """Yield a number first, as what has not begun cannot be closed."""
        given = 0
        try:
            yield given
            while given < len(request.output) or request.finish is None:
                if given == len(request.output):
                    self.step()
                    continue
                given += 1
                yield request.output[given - 1]
            if request.error is not None:
                raise request.error
        finally:
            self.cancel(request)

    def _feed(
        self, work: Mapping[Request, list[int]], single: Function, several: Function
    ) -> None:
        if not work:
            return
        function = single if len(work) == 1 else several
        tokens = {request.sequence: part for request, part in work.items()}
        try:
            logits = self._model.forward(function, tokens)
        except MlcxError as error:
            for request in work:
                self._fail(request, error)
            return
        except BaseException:
            # Nobody knows what the cache has of them now.
            for request in work:
                self.cancel(request)
            raise
        for request, part in work.items():
            request.cached += len(part)
        for request, row in zip(work, logits, strict=True):
            if not request.in_prefill:
                self._choose(request, row)

    def _choose(self, request: Request, row: Logits) -> None:
        """Give a request the token that follows, by its (vocabulary,) logits."""
        try:
            request.accept(request.sampler.sample(row), self._context)
        except MlcxError as error:
            self._fail(request, error)
        if request.finish:
            self._release(request)

    def _fail(self, request: Request, error: MlcxError) -> None:
        request.finish, request.error = "error", error
        self._release(request)

    def _release(self, request: Request) -> None:
        if self._scheduler.release(request):
            self._model.remove(request.sequence)

    def _check(self, prompt: Sequence[int]) -> None:
        if not prompt:
            raise UsageError("the prompt has no tokens: expected one or more")
        if len(prompt) >= self._context:
            raise UsageError(
                f"the prompt has {len(prompt)} tokens, and the context is of "
                f"{self._context}, answer included: shorten the prompt, or compile and "
                "run with a larger context_window_size"
            )
        for token in prompt:
            if not 0 <= token < self._vocabulary:
                raise UsageError(
                    f"token {token}: expected an id from 0 to {self._vocabulary - 1}"
                )
