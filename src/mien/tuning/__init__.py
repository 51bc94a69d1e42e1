"""Hyper-parameter search over the space that a recipe declares, on Optuna; scored on validation images alone."""
