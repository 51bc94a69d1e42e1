"""Models run in ONNX Runtime, with preprocessing derived from their own cards."""
