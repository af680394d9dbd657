"""CUDA's kernels in a library as GPUs run them, made on a machine without CUDA.

TVM alone, where it finds no driver, puts the kernels' source into the library.
"""
