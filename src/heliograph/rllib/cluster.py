"""The cluster that RAY_ADDRESS names: whether there is one, and whether it answers."""

import os
import socket
import time

from ray._private import services

__all__ = ["answering_cluster"]

ADDRESS, LOCAL = "RAY_ADDRESS", "local"
SECONDS, SECONDS_BETWEEN_TRIES = 10.0, 0.5
CLIENT = "ray://"
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a client of HTTP/2, such as Ray, begins; the server answers with a frame of its own settings."""


def answering_cluster() -> bool:
    """Tell whether RAY_ADDRESS names a cluster; raises ConnectionError, after ten seconds, where none answers there."""
    named = os.environ.get(ADDRESS, "")
    if named in ("", LOCAL):
        return False
    place = _place(named)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            _greet(place, timeout=max(SECONDS_BETWEEN_TRIES, deadline - time.monotonic()))
            return True
        except OSError as error:
            if time.monotonic() + SECONDS_BETWEEN_TRIES > deadline:
                raise ConnectionError(
                    f"{ADDRESS}={named}: no cluster answers there ({error}): start it, correct the address, or unset "
                    f"{ADDRESS} for a Ray on this machine alone"
                ) from None
        time.sleep(SECONDS_BETWEEN_TRIES)


def _place(named: str) -> tuple[str, int]:
    if named.startswith(CLIENT):
        found = named.removeprefix(CLIENT).partition("/")[0]
    else:
        try:
            found = services.canonicalize_bootstrap_address_or_die(named)
        except ConnectionError:
            raise ConnectionError(
                f"{ADDRESS}={named}: no cluster runs on this machine: start one (ray start --head), or unset {ADDRESS}"
            ) from None
        except ValueError:
            found = ""
    host, _, port = found.rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"{ADDRESS}={named}: must be auto, local, HOST:PORT or ray://HOST:PORT")
    return host.strip("[]"), int(port)


def _greet(place: tuple[str, int], *, timeout: float) -> None:
    with socket.create_connection(place, timeout=timeout) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        connection.sendall(HELLO)
        if not connection.recv(1):
            raise ConnectionError("the connection was closed")
