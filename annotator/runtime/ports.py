"""Which port the web server takes."""

import socket

FIRST_PORT = 8000
LAST_PORT = 8099


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose(host: str, wanted: int | None) -> int:
    """The wanted port, or the first free one from 8000 on.

    Raises RuntimeError when a port was asked for and is taken, or when none is free.
    """
    if wanted is not None:
        if not is_free(host, wanted):
            raise RuntimeError(
                f"Port {wanted} on {host} is taken. Stop what listens there, or set PORT to another one."
            )
        return wanted
    for port in range(FIRST_PORT, LAST_PORT + 1):
        if is_free(host, port):
            return port
    raise RuntimeError(f"No port from {FIRST_PORT} to {LAST_PORT} on {host} is free. Set PORT to one that is.")
