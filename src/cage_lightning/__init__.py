"""Expression inference from faces: discrete categories, valence and arousal, or both.

Importing the package loads neither torch nor Lightning, so that the command line answers at once.
"""

__version__ = "0.1.0"
