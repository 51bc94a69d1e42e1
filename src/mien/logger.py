"""Loggers of the package: silent until the program around it sets up logging."""

from __future__ import annotations

import logging

_ROOT = "mien"


def get_logger(name: str) -> logging.Logger:
    """The logger of a module.

    The package's root logger gets a handler that drops records; without one, Python prints warnings of a library whose
    user has set up no logging. It is added here because `mien/__init__.py` must not take the time to load `logging`.

    Args:
        name: of the module, below ``mien``.
    """
    root = logging.getLogger(_ROOT)
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    return logging.getLogger(name)
