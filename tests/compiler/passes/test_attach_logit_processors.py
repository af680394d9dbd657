import numpy as np
import pytest

from mlcx.compiler.passes.attach_logit_processors import AttachLogitProcessors
from mlcx.compiler.targets import target_of

from .built_module import lookup, tensors


@pytest.fixture(scope="module")
def function():
    return lookup(AttachLogitProcessors(target_of("cpu")))


def i32(*values):
    return np.array(values, "int32")


def test_adds_a_bias_in_place(function):
    logits, *rest = tensors(
        np.zeros((2, 40), "float32"), i32(1, 1), i32(7, 7), np.ones(2, "float32")
    )
    function("apply_logit_bias_inplace")(logits, *rest)
    assert np.argwhere(logits.numpy() == 2).tolist() == [[1, 7]]


def test_penalizes_in_place(function):
    arguments = i32(1), i32(0), i32(7), i32(3), np.array([[1, 0.5, 2]], "float32")
    logits, *rest = tensors(np.full((2, 40), 4.5, "float32"), *arguments)
    function("apply_penalty_inplace")(logits, *rest)
    assert logits.numpy()[1, 7] == 1
    assert (logits.numpy() == 4.5).sum() == 79


def test_masks_in_place(function):
    masks = np.array([[0, 0], [0x55555555, 1]], "int32")
    logits, *rest = tensors(np.ones((2, 40), "float32"), i32(1), masks)
    function("apply_bitmask_inplace")(logits, *rest)
    assert (logits.numpy()[0] == 1).all()
    assert np.flatnonzero(logits.numpy()[1] == 1).tolist() == list(range(0, 33, 2))
    assert (logits.numpy() == np.finfo("float32").min).sum() == 40 - 17


def test_refuses_a_mask_that_does_not_fit_the_vocabulary(function):
    arguments = np.ones((1, 40), "float32"), i32(0), np.zeros((1, 1), "int32")
    with pytest.raises(Exception, match="bitmask"):
        function("apply_bitmask_inplace")(*tensors(*arguments))
