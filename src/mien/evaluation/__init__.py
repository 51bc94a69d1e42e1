"""Scores from arrays: labels and probabilities in, figures out; torch and ONNX models are scored by the same code."""
