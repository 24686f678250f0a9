"""The way in. Before anything else is imported, the protocol's pipes leave stdin and
stdout, so that no `print`, child process or C library can write into the protocol."""

import os
import sys

COOKIE_NAME = "SLATED_WORKER_COOKIE"
COOKIE = "7d0c1c52-plugin-worker"

# The argument that makes it the parent of workers.
PRELOAD = "--preload"

# The argument that makes it parse files and load none.
PARSE = "--parse"

# Names the socket the protocol is spoken on, where stdin and stdout are the plugin's own.
SOCKET_NAME = "SLATED_FD"

HELP = """\
This is the Python side of slated. It is started by slated and talks to it over pipes;
there is nothing to see here by hand. How each plugin fares: slated plugin list.
"""


def take_pipes():
    """Returns (in, out): the protocol's own descriptors. Afterwards stdin is empty and
    stdout goes where stderr goes. Child processes do not inherit the pipes. Where the daemon
    names a socket, that is both, and the standard streams stay what they are."""
    socket = os.environ.pop(SOCKET_NAME, None)
    if socket is not None:
        socket = int(socket)
        inward, outward = os.dup(socket), os.dup(socket)
        os.close(socket)
        return inward, outward
    inward = os.dup(0)
    outward = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return inward, outward


def settle_streams():
    """Lets anything be printed, a line at a time."""
    # What a sitecustomize printed so far still stands in the buffer, and now goes to stderr.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def main():
    """Serves the daemon that started this process; returns the exit code."""
    # Taken out of the environment, so that what the plugin starts is not taken for a worker.
    if os.environ.pop(COOKIE_NAME, None) != COOKIE:
        sys.stderr.write(HELP)
        return 64
    if sys.argv[1:] == [PARSE]:
        from slated_worker import parsing

        return parsing.run()
    if sys.argv[1:] == [PRELOAD]:
        from slated_worker import parent

        pipes = parent.run()
    else:
        pipes = take_pipes()
    if pipes is None:
        return 0
    settle_streams()
    from slated_worker import serve

    return serve.serve(*pipes)


if __name__ == "__main__":
    sys.exit(main())
