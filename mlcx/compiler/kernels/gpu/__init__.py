"""Kernels that hold for every kind of GPU, one file each."""
