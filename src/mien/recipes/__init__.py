"""Training recipes of the shipped models: typed Python, one file per model."""
