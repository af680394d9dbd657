"""CPU kernels, one file each."""
