"""What is in the file of a compiled library, read without loading it.

Takes libraries of every platform apart: finds what they say of themselves, their
functions and kernels. Knows nothing of how they are made and needs no TVM.
"""
