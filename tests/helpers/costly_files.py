"""Files that are small and legal, yet take long to decode."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av


def jpeg_of_scans(width: int, height: int, scans: int, between: bytes = b"") -> bytes:
    """A gray progressive JPEG that repeats one scan of all 63 AC coefficients, all zero, so many times.

    Args:
        width: of the picture.
        height: of the picture.
        scans: how many times the scan is repeated.
        between: bytes before each of them.
    """

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    one_code = bytes([1] + [0] * 15)
    head = b"\xff\xd8" + segment(0xDB, b"\0" + bytes([16] * 64))
    head += segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    # the one code of the AC table is a run of at least 16,384 blocks without a coefficient, the DC table's a zero
    head += segment(0xC4, b"\x10" + one_code + b"\xe0") + segment(0xC4, b"\0" + one_code + b"\0")
    blocks = -(-width // 8) * -(-height // 8)
    head += segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(-(-blocks // 8))
    runs = -(-blocks // 16_384)
    bits = "".join("0" + "0" * 14 for _ in range(runs))
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return head + (between + segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + data) * scans + b"\xff\xd9"


def motion_jpeg(path: Path, pictures: list[bytes], size: tuple[int, int]) -> None:
    """A video whose frames are these JPEG files.

    Args:
        path: of the video.
        pictures: the files.
        size: (width, height) that the container states.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        for i, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 10)
            packet.is_keyframe = True
            container.mux(packet)
