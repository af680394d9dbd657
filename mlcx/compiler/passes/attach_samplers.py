"""Add what draws tokens from probabilities, and what judges draft tokens by them."""

from __future__ import annotations

from tvm import IRModule, relax, tirx
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.target import Target

from mlcx.compiler.kernels.cpu import sampling
from mlcx.compiler.kernels.cpu.argsort import argsort_descending
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.cpu.top_p import renormalize_by_top_p
from mlcx.compiler.kernels.cpu.verify_drafts import verify_draft_tokens
from mlcx.compiler.passes.additions import Additions, tensor

__all__ = ["AttachSamplers"]

_TOP_PROBS = 6
"""Probabilities reported for one sample: its own, and the five likeliest."""


def AttachSamplers(  # noqa: N802
    target: Target, vocab_size: int, max_batch_size: int
) -> Pass:
    """Return the pass that adds the sampling functions for ``target``.

    With b = batch_size, n = num_samples, p = num_positions, float32 and int32:
    multinomial_from_uniform(probs (b, V), uniform (n,), sample_indices (n,)) -> (n,);
    argsort_probs(probs (b, V)) -> (sorted (b, V), indices (b, V));
    sample_with_top_p(sorted (b, V), indices (b, V), uniform (n,), sample_indices (n,),
    top_p (b,)) -> (n,);
    sampler_take_probs(probs (b, V), indices (b, V), sample_indices (n,), results (n,),
    top_prob_offsets (p,)) -> (probs (n,), top probs (p,), top indices (p,));
    renormalize_by_top_p(probs (b, V), top_p (b,), init_pivots (b, 3)) -> (b, V);
    and, in place, sampler_verify_draft_tokens as its kernel says.
    """
    bounds = {
        "batch_size": max_batch_size,
        "num_samples": max_batch_size,
        "num_positions": _TOP_PROBS * max_batch_size,
    }
    lanes = float32_lanes(target)

    @module_pass(opt_level=0, name="AttachSamplers")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        additions = Additions(bounds)
        _add_sorting(additions, vocab_size)
        _add_multinomial(additions, vocab_size)
        _add_top_p(additions, vocab_size)
        _add_taking(additions, vocab_size)
        _add_speculation(additions, vocab_size, lanes)
        return additions.added_to(mod)

    return attach


def _add_sorting(additions: Additions, vocab_size: int) -> None:
    shape = (_size("batch_size"), vocab_size)
    additions.call(
        "argsort_probs",
        argsort_descending(vocab_size),
        [_f32("probs", *shape)],
        [_result("float32", *shape), _result("int32", *shape)],
    )


def _add_multinomial(additions: Additions, vocab_size: int) -> None:
    batch, samples = _size("batch_size"), _size("num_samples")
    additions.call(
        "multinomial_from_uniform",
        sampling.multinomial_from_uniform(vocab_size),
        [
            _f32("probs", batch, vocab_size),
            _f32("uniform_samples", samples),
            _i32("sample_indices", samples),
        ],
        [_result("int32", samples)],
    )


def _add_top_p(additions: Additions, vocab_size: int) -> None:
    batch, samples = _size("batch_size"), _size("num_samples")
    additions.call(
        "sample_with_top_p",
        sampling.sample_with_top_p(vocab_size),
        [
            _f32("sorted_probs", batch, vocab_size),
            _i32("sorted_indices", batch, vocab_size),
            _f32("uniform_samples", samples),
            _i32("sample_indices", samples),
            _f32("top_p", batch),
        ],
        [_result("int32", samples)],
    )


def _add_taking(additions: Additions, vocab_size: int) -> None:
    batch, samples = _size("batch_size"), _size("num_samples")
    positions = _size("num_positions")
    additions.call(
        "sampler_take_probs",
        sampling.sampler_take_probs(vocab_size),
        [
            _f32("unsorted_probs", batch, vocab_size),
            _i32("sorted_indices", batch, vocab_size),
            _i32("sample_indices", samples),
            _i32("sampling_result", samples),
            _i32("top_prob_offsets", positions),
        ],
        [
            _result("float32", samples),
            _result("float32", positions),
            _result("int32", positions),
        ],
    )


def _add_speculation(additions: Additions, vocab_size: int, lanes: int) -> None:
    batch = _size("batch_size")
    additions.export(
        "sampler_verify_draft_tokens", verify_draft_tokens(vocab_size, lanes)
    )
    additions.call(
        "renormalize_by_top_p",
        renormalize_by_top_p(vocab_size, lanes),
        [
            _f32("probs", batch, vocab_size),
            _f32("top_p", batch),
            _f32("init_pivots", batch, 3),
        ],
        [_result("float32", batch, vocab_size)],
    )


def _size(name: str) -> tirx.Var:
    return tirx.Var(name, "int64")


def _f32(name: str, *shape: int | tirx.Var) -> relax.Var:
    return tensor(name, shape, "float32")


def _i32(name: str, *shape: int | tirx.Var) -> relax.Var:
    return tensor(name, shape, "int32")


def _result(dtype: str, *shape: int | tirx.Var) -> relax.TensorType:
    return relax.TensorType(list(shape), dtype)
