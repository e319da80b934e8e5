"""A drawn stand-in for EMOTIC: scenes with persons, their categories and affect, on demand.

A latent affect gives categories and what each annotator answers (`labels`), the same affect gives
the body, the face and the colours of the scene (`drawing`), and scenes are written in the layout of
EMOTIC (`release`).
"""

from cage_lightning.demo.emotic.drawing import Scene, draw_scene
from cage_lightning.demo.emotic.release import SIZES, Size, write_release

__all__ = ["SIZES", "Scene", "Size", "draw_scene", "write_release"]
