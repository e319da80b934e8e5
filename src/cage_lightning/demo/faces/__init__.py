"""Procedural "demo faces": pictures with category, valence, arousal and landmarks, drawn on demand.

A label gives action units (`labels`), action units give curves (`geometry`), curves give a picture
(`drawing`), and pictures are written in the layout of the 2021 AffectNet release (`release`). Needs
Pillow and NumPy only, so that drawing processes start fast.
"""

from cage_lightning.demo.faces.drawing import Face, draw_face
from cage_lightning.demo.faces.release import SIZES, Size, write_release

__all__ = ["SIZES", "Face", "Size", "draw_face", "write_release"]
