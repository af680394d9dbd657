"""TVM's runtime for browsers, which every library for the web holds.

It is compiled of the sources that TVM's wheel has, once for all libraries.
"""
