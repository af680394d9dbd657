"""The tools that turn objects into libraries: which there must be, where they are.

Knows triples, object formats and programs; knows nothing of models or of TVM.
"""
