"""Faces in pictures and videos: detectors, crops, tracks, sources, rows, and drawing.

Packages of the extra ``faces`` are imported where they are used, by whoever uses them.
"""
