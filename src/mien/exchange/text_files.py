"""What the readers of codings that are texts share."""

from __future__ import annotations

from pathlib import Path

from mien.errors import DataError


def not_unicode(path: Path, error: UnicodeDecodeError) -> DataError:
    """The error about a text in an encoding that its bytes do not show, such as Latin-1.

    Args:
        path: the file.
        error: what decoding it raised.

    Examples:
        >>> not_unicode(Path("clip.csv"), UnicodeDecodeError("utf-8", bytes([246]), 0, 1, "invalid start byte")).advice
        'save it again as UTF-8 or UTF-16'
    """
    return DataError(
        f"is no text in UTF-8 or UTF-16 (byte {error.start:,} is 0x{error.object[error.start]:02x})",
        path=path,
        advice="save it again as UTF-8 or UTF-16",
    )
