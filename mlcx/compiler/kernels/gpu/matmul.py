"""Products with a transposed matrix, unscheduled: what they compute, and no more."""

from __future__ import annotations

from tvm import te, tirx

__all__ = ["PRODUCT", "nt_matmul"]

PRODUCT = "nt_matmul"
"""Name of the block that sums, wherever it is fused to."""


def nt_matmul(
    rows: int | None, n: int, k: int, dtypes: tuple[str, str, str]
) -> tirx.PrimFunc:
    """Return f(x (rows, K), weight (N, K), out (rows, N)): ``out = x @ weight.T``.

    Sums are float32. ``rows`` None is for any number of them, known when it runs;
    ``dtypes`` are those of x, weight and out.
    """
    size = tirx.Var("rows", "int64") if rows is None else _int64(rows)
    n_, k_ = _int64(n), _int64(k)
    x = te.placeholder((size, k_), dtypes[0], name="x")
    weight = te.placeholder((n_, k_), dtypes[1], name="weight")
    axis = te.reduce_axis((0, k_), name="k")

    def product(i: tirx.Var, j: tirx.Var) -> tirx.Expr:
        terms = x[i, axis].astype("float32") * weight[j, axis].astype("float32")
        return te.sum(terms, axis=axis)

    out = te.compute((size, n_), product, name=PRODUCT)
    if dtypes[2] != "float32":
        sums = out
        out = te.compute(
            (size, n_), lambda i, j: sums[i, j].astype(dtypes[2]), name="rounded"
        )
    return te.create_prim_func([x, weight, out])


def _int64(value: int) -> tirx.IntImm:
    return tirx.IntImm("int64", value)
