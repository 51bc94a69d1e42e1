"""Training of the single-shot face detector."""
