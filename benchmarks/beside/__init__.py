"""Other packages that read facial expressions, run beside Mien, each in an environment of its own."""
