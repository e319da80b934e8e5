"""Figures and tables, from plain arrays: imports neither torch nor Lightning."""
