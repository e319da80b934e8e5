"""Trained models in use: what describes one, the forms it is exported to, and `ExpressionModel`.

Loading and predicting need neither Lightning nor Hydra.
"""
