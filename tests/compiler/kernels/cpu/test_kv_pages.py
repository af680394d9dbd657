import numpy as np
import pytest

from mlcx.compiler.kernels.cpu.kv_pages import (
    compact_copy,
    copy_single_page,
    debug_get_kv,
    transpose_append,
)

from .target_kernel import HOST, build_for

KV = 3
cases = pytest.mark.parametrize(
    ("d", "page_size", "dtype"), [(64, 16, "float16"), (20, 4, "float32")]
)


def ints(*values: int) -> np.ndarray:
    return np.array(values, "int32")


@cases
@pytest.mark.parametrize("tokens", [3, 70])
def test_tokens_go_to_their_positions_and_minus_one_nowhere(
    d, page_size, dtype, tokens, rng
):
    run = build_for(HOST, transpose_append(KV, d, dtype))
    pages = rng.standard_normal((30, 2, KV, page_size, d)).astype(dtype)
    k, v = rng.standard_normal((2, tokens, KV, d)).astype(dtype)
    positions = rng.permutation(30 * page_size)[:tokens].astype("int32")
    positions[1] = -1
    expected = pages.copy()
    for i, position in enumerate(positions):
        if position >= 0:
            expected[position // page_size, 0, :, position % page_size] = k[i]
            expected[position // page_size, 1, :, position % page_size] = v[i]
    run(pages, k, v, positions)
    assert (pages == expected).all()


@cases
def test_a_page_is_copied_up_to_a_row(d, page_size, dtype, rng):
    run = build_for(HOST, copy_single_page(KV, d, dtype))
    pages = rng.standard_normal((4, 2, KV, page_size, d)).astype(dtype)
    expected = pages.copy()
    expected[3, :, :, :3] = expected[1, :, :, :3]
    run(pages, 1, 3, 3)
    assert (pages == expected).all()


@cases
def test_tokens_move_in_order_within_the_pages(d, page_size, dtype, rng):
    run = build_for(HOST, compact_copy(KV, d, dtype))
    pages = rng.standard_normal((5, 2, KV, page_size, d)).astype(dtype)
    tokens = pages.transpose(0, 3, 1, 2, 4).reshape(-1, 2, KV, d).copy()
    # 7 moves to 6 and only then 9 to 7; the second sequence moves nothing.
    moves = np.array([[7, 9, 2], [6, 7, 0]], "int32")
    tokens[6], tokens[7], tokens[0] = tokens[7], tokens[9], tokens[2]
    run(pages, ints(0, 2, 2, 3), moves, 3)
    assert (pages.transpose(0, 3, 1, 2, 4).reshape(-1, 2, KV, d) == tokens).all()


@cases
def test_positions_are_read_back_into_one_layer(d, page_size, dtype, rng):
    run = build_for(HOST, debug_get_kv(2, KV, d, dtype))
    pages = rng.standard_normal((5, 2, KV, page_size, d)).astype(dtype)
    positions = ints(7, 0, 2 * page_size + 1)
    k, v = np.zeros((2, 2, 3, KV, d), dtype)
    run(pages, positions, k, v, 1)
    rows = pages.transpose(0, 3, 1, 2, 4).reshape(-1, 2, KV, d)[positions]
    assert (k[1] == rows[:, 0]).all()
    assert (v[1] == rows[:, 1]).all()
    assert not k[0].any()
    assert not v[0].any()
