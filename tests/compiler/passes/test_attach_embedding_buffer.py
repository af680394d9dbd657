import numpy as np

from mlcx.compiler.passes.attach_embedding_buffer import AttachEmbeddingBuffer

from .built_module import lookup


def test_allocates_one_chunk_of_embeddings_anew_each_time():
    allocate = lookup(AttachEmbeddingBuffer(8, 16, "float16"))("alloc_embedding_tensor")
    first, second = allocate(), allocate()
    assert (first.shape, str(first.dtype)) == ((8, 16), "float16")
    first.copyfrom(np.ones((8, 16), "float16"))
    second.copyfrom(np.zeros((8, 16), "float16"))
    assert (first.numpy() == 1).all()
