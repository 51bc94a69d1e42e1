"""Who may ask: addresses, the key, the names of the host, other sites."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mien.errors import InputError, MissingFileError

KEY_VARIABLE = "MIEN_SERVE_KEY"
MIN_KEY_LENGTH = 16
"""Characters of a key: shorter ones can be guessed."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Who may ask.

    Attributes:
        host: the address that is listened on.
        key: what clients have to send; None for none.
        hosts: names of this service besides its address, as clients write them in the Host header; "*" for any.
        origins: other sites whose pages may ask, such as ``https://lab.example``.
        insecure: whether an address that others can reach may go without a key.

    Raises:
        InputError: others could reach the service without a key; a key that is too short; an origin that is none.
    """

    host: str = "127.0.0.1"
    key: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.key is not None and (len(self.key) < MIN_KEY_LENGTH or not _KEY.fullmatch(self.key)):
            raise InputError(
                f"the key needs at least {MIN_KEY_LENGTH} characters, no spaces, all ASCII: make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
            )
        if self.key is None and not self.is_loopback and not self.insecure:
            raise InputError(
                f"{self.host} can be reached by others, so it needs a key: give --key-file FILE or {KEY_VARIABLE}, or "
                "listen on 127.0.0.1; --insecure-no-key goes without one"
            )
        for origin in self.origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.netloc
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise InputError(f"an origin is a scheme and a host, such as https://lab.example, got {origin!r}")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def knows_host(self, header: str) -> bool:
        """Whether a Host header names this service; on loopback another name is another site's trick (rebinding)."""
        name = header.rpartition(":")[0] if re.search(r":\d*$", header) else header
        name = name.lower().rstrip(".")
        if name in self.hosts or (name in _LOOPBACK_NAMES and self.is_loopback) or name == self.host:
            return True
        # where anyone may reach it by any name, the key is what protects
        return "*" in self.hosts or (not self.is_loopback and not self.hosts)

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether the page that asks is our own, or one of a site on the list."""
        # a proxy may speak HTTPS for us, so the scheme is not compared
        return origin in self.origins or urlsplit(origin).netloc.lower() == host.lower() != ""

    def opens(self, headers: Mapping[str, str]) -> bool:
        """Whether the request brings the key, where one is asked for."""
        if self.key is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self.fits(headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else ""))

    def fits(self, given: str) -> bool:
        """Whether this is the key; takes as long for every wrong one."""
        return self.key is None or hmac.compare_digest(given.encode("utf-8", "replace"), self.key.encode())


def read_key(file: Path | None, environment: Mapping[str, str]) -> str | None:
    """The key from a file, else from the environment, else None.

    Raises:
        MissingFileError, InputError: the file cannot be read.
    """
    if file is None:
        return environment.get(KEY_VARIABLE) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no such file; it is to hold the key on one line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as a key: {getattr(error, 'strerror', None) or 'not text'}") from None
