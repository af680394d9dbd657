import numpy as np
import tvm
from tvm.target import Target

from mlcx.compiler.passes.attach_softmax import AttachSoftmax

from .built_module import dynamic_allocations, lookup, planned, tensors

CPU = Target("llvm")


def test_makes_probabilities_of_the_active_tokens():
    softmax = lookup(AttachSoftmax(CPU, 259, 256, 4))("softmax_with_temperature")
    logits = np.log(np.arange(1, 519, dtype="float32")).reshape(2, 1, 259)
    probs = softmax(*tensors(logits, np.array([1, 0], "float32"))).numpy()
    assert probs.shape == (2, 1, 259)
    weights = np.arange(1, 257)
    np.testing.assert_allclose(probs[0, 0, :256], weights / weights.sum(), rtol=1e-5)
    assert not probs[0, 0, 256:].any()
    assert np.flatnonzero(probs[1]).tolist() == [255]


def test_a_view_into_a_larger_tensor_will_do():
    softmax = lookup(AttachSoftmax(CPU, 8, None, 4))("softmax_with_temperature")
    logits, heat = tensors(np.eye(5, 8, dtype="float32"), np.ones(1, "float32"))
    view = logits._create_view((1, 1, 8), relative_byte_offset=3 * 8 * 4)
    assert softmax(view, heat).numpy().argmax() == 3


def test_memory_is_planned_for_the_largest_batch():
    mod = planned(AttachSoftmax(CPU, 259, None, 4))
    assert not dynamic_allocations(mod, "softmax_with_temperature")


def test_leaves_the_module_given_as_it_was():
    before = tvm.IRModule()
    after = AttachSoftmax(CPU, 8, None, 1)(before)
    assert not before.functions_items()
    assert len(after.functions_items()) == 2
