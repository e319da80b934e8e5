"""Faces in pictures and videos: detectors, crops, tracking, and drawing on pictures."""
