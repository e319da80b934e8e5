"""Drawn faces and scenes, written in the layouts of the real releases."""
