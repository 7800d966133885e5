"""Where an OpenAI-compatible server is and how it may be spoken to; checked before a byte is sent."""

import hashlib
import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelhub.ml.backends.base import BackendError

# the suffix keeps a slip of the pen from sending another secret of this process to a server
KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_API_KEY")


@dataclass(frozen=True)
class EndpointSpec:
    """`url`: what stands before `/chat/completions`, such as https://api.example.org/v1. `model`: its name there.

    `key_variable`: the environment variable that holds the key, empty for a server that wants none; the key itself is
    read when it is used and kept nowhere. `on_site`: the server belongs to this site, so plain http is allowed beyond
    this machine and pictures sent to it do not leave the site.
    """

    url: str
    model: str
    key_variable: str = ""
    on_site: bool = False
    concurrency: int = 8
    timeout_s: float = 600.0
    attempts: int = 6

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address of a server; it looks like https://api.example.org/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the address must not hold a name, a password, a query or a fragment; name a key variable")
        if self.url.endswith("/"):
            object.__setattr__(self, "url", self.url.rstrip("/"))
        if parts.scheme == "http" and not (self.on_site or self.is_loopback):
            raise ValueError(f"{self.url} is not encrypted: use https, or say that the server stands on this site")
        if not self.model:
            raise ValueError("a server needs the name of one of its models")
        if self.key_variable and not KEY_VARIABLE.fullmatch(self.key_variable):
            raise ValueError(f"{self.key_variable!r} is no name of a key variable; it looks like EXAMPLE_API_KEY")
        if self.concurrency < 1 or self.attempts < 1 or self.timeout_s <= 0:
            raise ValueError("concurrency and attempts must be at least 1, timeout_s above 0")

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def leaves_site(self) -> bool:
        """Whether what is sent there leaves the site."""
        return not (self.on_site or self.is_loopback)

    @property
    def digest(self) -> str:
        """SHA-256 of address and model name: which server was asked. What weights it has, nobody here knows."""
        return hashlib.sha256(f"{self.url}\n{self.model}".encode()).hexdigest()

    def key(self) -> str | None:
        """Raises BackendError where the variable is not set."""
        if not self.key_variable:
            return None
        if not (key := os.environ.get(self.key_variable, "").strip()):
            raise BackendError(f"The environment variable {self.key_variable} is not set; it must hold the key.")
        return key
