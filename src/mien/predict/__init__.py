"""Faces → faces with predictions: crops, then distributions."""
