"""Kernels, in a folder for each family of devices."""
