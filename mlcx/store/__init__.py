"""A store of what builds made, by key: a folder, and behind it an object store.

An entry says of a key what was made: its SHA-256 and size. The content lies under its
hash, so that equal products of different keys are stored once, and whoever takes one
can see whether it is what was put in. Knows nothing of SCons, nor of what keys mean.
"""
