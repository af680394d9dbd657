"""What engine and logits ask of a loaded model; ``device`` has the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mlcx.runtime.metadata import Metadata

__all__ = ["Function", "Logits", "Model"]

Function = Literal["prefill", "decode", "batch_prefill", "batch_decode", "batch_verify"]
"""The functions of a library that append tokens and return logits."""

Logits = NDArray[np.float32]
"""(rows, vocabulary)"""


class Model(Protocol):
    """A library with its weights, and a cache with room for several sequences."""

    @property
    def metadata(self) -> Metadata:
        """The limits that hold for every ``forward``."""

    def add(self, sequence: int) -> None:
        """Start an empty sequence under a number that is not in use."""

    def remove(self, sequence: int) -> None:
        """Forget a sequence and free its place."""

    def forward(
        self,
        function: Function,
        tokens: Mapping[int, Sequence[int]],
        positions: Sequence[int] | None = None,
    ) -> Logits:
        """Append tokens to sequences and return logits.

        Args:
            function: ``prefill`` and ``decode`` take one sequence, ``decode`` and
                ``batch_decode`` one token of each.
            tokens: Sequence to its next tokens, at least one; all together at most
                ``metadata.prefill_chunk_size``.
            positions: For ``batch_prefill``, which of the tokens laid end to end to
                return logits of, at most ``metadata.max_batch_size``; None for each
                sequence's last, which is all that a recurrent model can return.

        Returns:
            One row for each position; from ``batch_verify`` one for each token, else
            one for each sequence, of its last token.
        """
