"""Free ports, reserved until the test process ends."""

import atexit
import socket
import sys


def reserve():
    """A free port, for the coordinator of several processes.

    On Linux it stays bound here: no other process gets it, and JAX's coordinator, which shares
    ports (SO_REUSEPORT), can still listen there.
    """
    reserved = socket.socket()
    if sys.platform == "linux":
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        atexit.register(reserved.close)  # held until then
    reserved.bind(("localhost", 0))
    port = reserved.getsockname()[1]
    if sys.platform != "linux":
        reserved.close()
    return port
