"""Quantization schemes as data, and how they change a model."""
