"""`hydra/launcher=gpus`: every job of a sweep in a process of its own, on devices of its own.

At its start every Hydra application imports the modules here whose name has no underscore.
"""
