"""Add what draws tokens from probabilities, and what judges draft tokens by them."""

from __future__ import annotations

from types import ModuleType

from tvm import IRModule, relax, tirx
from tvm.ir.transform import Pass, PassContext, module_pass
from tvm.target import Target

from mlcx.compiler.kernels.cpu import argsort
from mlcx.compiler.kernels.cpu import sampling as cpu
from mlcx.compiler.kernels.cpu.simd import float32_lanes
from mlcx.compiler.kernels.cpu.top_p import renormalize_by_top_p
from mlcx.compiler.kernels.cpu.verify_drafts import verify_draft_tokens
from mlcx.compiler.kernels.gpu import argsort as gpu_argsort
from mlcx.compiler.kernels.gpu import sampling as gpu
from mlcx.compiler.kernels.gpu import top_p as gpu_top_p
from mlcx.compiler.kernels.gpu import verify_drafts as gpu_verify_drafts
from mlcx.compiler.passes.additions import Additions, tensor

__all__ = ["AttachSamplers"]

_TOP_PROBS = 6
"""Probabilities reported for one sample: its own, and the five likeliest."""

_EVERY = frozenset({"llvm", "cuda", "metal", "vulkan"})
"""Kinds of targets for which all functions are there."""

_SORTED = frozenset({"webgpu"})
"""Kinds for which those are that draw from sorted probabilities. On others, engines
sample on the host."""


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
    kind = target.kind.name
    adding = [_add_sorting, _add_top_p] if kind in _EVERY | _SORTED else []
    if kind in _EVERY:
        adding += [_add_multinomial, _add_taking, _add_verification, _add_cutting]

    @module_pass(opt_level=0, name="AttachSamplers")
    def attach(mod: IRModule, _: PassContext) -> IRModule:
        additions = Additions(bounds)
        for add in adding:
            add(additions, target, vocab_size)
        return additions.added_to(mod)

    return attach


def _add_sorting(additions: Additions, target: Target, vocab_size: int) -> None:
    shape = (_size("batch_size"), vocab_size)
    sort = argsort if _on_cpu(target) else gpu_argsort
    additions.call(
        "argsort_probs",
        sort.argsort_descending(vocab_size),
        [_f32("probs", *shape)],
        [_result("float32", *shape), _result("int32", *shape)],
    )


def _add_multinomial(additions: Additions, target: Target, vocab_size: int) -> None:
    batch, samples = _size("batch_size"), _size("num_samples")
    additions.call(
        "multinomial_from_uniform",
        _sampling(target).multinomial_from_uniform(vocab_size),
        [
            _f32("probs", batch, vocab_size),
            _f32("uniform_samples", samples),
            _i32("sample_indices", samples),
        ],
        [_result("int32", samples)],
    )


def _add_top_p(additions: Additions, target: Target, vocab_size: int) -> None:
    batch, samples = _size("batch_size"), _size("num_samples")
    additions.call(
        "sample_with_top_p",
        _sampling(target).sample_with_top_p(vocab_size),
        [
            _f32("sorted_probs", batch, vocab_size),
            _i32("sorted_indices", batch, vocab_size),
            _f32("uniform_samples", samples),
            _i32("sample_indices", samples),
            _f32("top_p", batch),
        ],
        [_result("int32", samples)],
    )


def _add_taking(additions: Additions, target: Target, vocab_size: int) -> None:
    batch, samples = _size("batch_size"), _size("num_samples")
    positions = _size("num_positions")
    additions.call(
        "sampler_take_probs",
        _sampling(target).sampler_take_probs(vocab_size),
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


def _add_verification(additions: Additions, target: Target, vocab_size: int) -> None:
    if _on_cpu(target):
        kernel = verify_draft_tokens(vocab_size, float32_lanes(target))
    else:
        kernel = gpu_verify_drafts.verify_draft_tokens(vocab_size)
    additions.export("sampler_verify_draft_tokens", kernel)


def _add_cutting(additions: Additions, target: Target, vocab_size: int) -> None:
    batch = _size("batch_size")
    if _on_cpu(target):
        kernel = renormalize_by_top_p(vocab_size, float32_lanes(target))
    else:
        kernel = gpu_top_p.renormalize_by_top_p(vocab_size)
    additions.call(
        "renormalize_by_top_p",
        kernel,
        [
            _f32("probs", batch, vocab_size),
            _f32("top_p", batch),
            _f32("init_pivots", batch, 3),
        ],
        [_result("float32", batch, vocab_size)],
    )


def _sampling(target: Target) -> ModuleType:
    return cpu if _on_cpu(target) else gpu


def _on_cpu(target: Target) -> bool:
    return bool(target.kind.name == "llvm")


def _size(name: str) -> tirx.Var:
    return tirx.Var(name, "int64")


def _f32(name: str, *shape: int | tirx.Var) -> relax.Var:
    return tensor(name, shape, "float32")


def _i32(name: str, *shape: int | tirx.Var) -> relax.Var:
    return tensor(name, shape, "int32")


def _result(dtype: str, *shape: int | tirx.Var) -> relax.TensorType:
    return relax.TensorType(list(shape), dtype)
