"""The networks of the published systems, one file per family."""
