"""Blocks that models are made of, on tvm.relax.frontend.nn."""
