"""The recipes of the published systems, one file per source."""
