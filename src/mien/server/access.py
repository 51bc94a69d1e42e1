"""Who may use the service: addresses, the key, host names, other sites."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mien import defaults
from mien.errors import InputError, MissingFileError

KEY_VARIABLE = "MIEN_SERVE_KEY"
MIN_KEY_LENGTH = 16
"""Characters of a key: shorter ones can be guessed."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Who may use the service.

    Attributes:
        host: the address that it listens on.
        key: what clients have to send; None for none.
        allow_hosts: names of this service besides its address, as clients write them in the Host header; "*" for any.
        allow_origins: other sites whose pages may use it, such as ``https://lab.example``.
        insecure_no_key: whether an address that others can reach may go without a key.
        proxy: address of a proxy whose X-Forwarded-For is trusted; None for none.

    Raises:
        InputError: others could reach the service without a key; a key that is too short; an invalid origin.

    Examples:
        >>> policy = AccessPolicy(host="0.0.0.0", key="a-key-of-at-least-16-characters")
        >>> policy.is_loopback, policy.accepts_key("wrong"), policy.accepts_headers({"x-api-key": policy.key})
        (False, False, True)
        >>> AccessPolicy().accepts_host("localhost:8000"), AccessPolicy().accepts_host("evil.example")
        (True, False)
        >>> AccessPolicy().accepts_origin("http://localhost:8000", "localhost:8000")
        True
    """

    host: str = defaults.HOST
    key: str | None = None
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    insecure_no_key: bool = False
    proxy: str | None = None

    def __post_init__(self) -> None:
        if self.key is not None and (len(self.key) < MIN_KEY_LENGTH or not _KEY.fullmatch(self.key)):
            raise InputError(
                f"the key needs at least {MIN_KEY_LENGTH} characters, no spaces, all ASCII",
                advice="make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`",
            )
        if self.key is None and not self.is_loopback and not self.insecure_no_key:
            raise InputError(
                f"{self.host} can be reached by others, so it needs a key",
                advice=f"give --key-file FILE or {KEY_VARIABLE}, or listen on {defaults.HOST}; "
                "--insecure-no-key allows access without one",
            )
        for origin in self.allow_origins:
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

    def accepts_host(self, header: str) -> bool:
        """Whether a Host header names this service; on loopback another name means DNS rebinding."""
        name = header.rpartition(":")[0] if re.search(r":\d*$", header) else header
        name = name.lower().rstrip(".")
        if name in self.allow_hosts or (name in _LOOPBACK_NAMES and self.is_loopback) or name == self.host:
            return True
        # where anyone may reach it by any name, the key is what protects
        return "*" in self.allow_hosts or (not self.is_loopback and not self.allow_hosts)

    def accepts_origin(self, origin: str, host: str) -> bool:
        """Whether a request comes from our own page, or from a page of an allowed site.

        Args:
            origin: the header ``Origin``.
            host: the header ``Host``.
        """
        # a proxy may speak HTTPS for us, so the scheme is not compared
        return origin in self.allow_origins or urlsplit(origin).netloc.lower() == host.lower() != ""

    def accepts_headers(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers hold the key, where one is needed."""
        if self.key is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self.accepts_key(headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else ""))

    def accepts_key(self, key: str) -> bool:
        """Whether this is the key; takes the same time for every wrong one."""
        return self.key is None or hmac.compare_digest(key.encode("utf-8", "replace"), self.key.encode())


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
        raise MissingFileError("no such file", path=file, advice="it must hold the key on one line") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"cannot be read as a key: {reason}", path=file) from None
