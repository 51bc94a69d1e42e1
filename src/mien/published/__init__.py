"""Five published systems, as their authors trained them and as Mien does. Nothing of inference imports it."""
