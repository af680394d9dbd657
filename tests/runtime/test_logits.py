from __future__ import annotations

import numpy as np
import pytest

from mlcx.runtime.logits import PATHS, Path, greedy, trace

from .fake import FakeModel, greedy_after, logits_after

TOKENS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prefilled", [1, 4, 7, len(TOKENS)])
def test_every_token_gets_its_row(path: Path, prefilled: int) -> None:
    model = FakeModel(sequences=1)
    rows = trace(model, TOKENS, prefilled, path)
    expected = [logits_after(TOKENS[: n + 1]) for n in range(len(TOKENS))]
    np.testing.assert_array_equal(rows, np.stack(expected))
    assert list(model.cache.values()) == [TOKENS]


@pytest.mark.parametrize(
    ("path", "decode"), [("prefill", "decode"), ("batch_prefill", "batch_decode")]
)
def test_the_named_functions_compute_the_rows(path: Path, decode: str) -> None:
    model = FakeModel(sequences=1)
    trace(model, TOKENS, 6, path)
    last = [function for function, _ in model.calls][-7:]
    assert last == [path] * 2 + [decode] * 5


@pytest.mark.parametrize("count", [0, 1, 9])
def test_the_greedy_continuation_follows_the_last_row(count: int) -> None:
    model = FakeModel(sequences=1)
    rows = trace(model, TOKENS, 4, "prefill")
    found = greedy(model, rows[-1], count, "prefill")
    assert found.tolist() == greedy_after(TOKENS, count)
    assert found.dtype == np.int64
