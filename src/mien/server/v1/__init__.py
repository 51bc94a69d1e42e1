"""Version 1 of the interface: what is under ``/v1``. Nothing is taken away or renamed within a version."""
