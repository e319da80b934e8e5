"""Fuzzing: what is read from strangers, changed at random.

`study` runs it by hand and writes README.md; what once failed is kept in ``failed``.
"""
