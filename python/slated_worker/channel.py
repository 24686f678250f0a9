"""Lines in and out: one JSON object a line, UTF-8."""

import json
import os
import threading

MAX_FRAME = 16 * 1024 * 1024

# As they are before a plugin runs: what it puts in their places is for its own use.
_getpid = os.getpid
_write = os.write
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class HostGone(Exception):
    """The daemon no longer reads or writes."""


class BadFrame(Exception):
    """A line that is not a message of the protocol."""


class Channel(object):
    """The worker's end of the two pipes.

    Reading belongs to the main thread; any thread may send. A frame is written whole or
    the process ends: `shield` keeps a soft limit from cutting one in two.
    """

    def __init__(self, inward, outward):
        self._in = os.fdopen(inward, "rb", 65536)
        self._out = outward
        self._lock = threading.RLock()
        self._pid = _getpid()
        self._scan = json.JSONDecoder().raw_decode
        # The last message as it came.
        self.line = b""
        self.max_frame = MAX_FRAME
        self.shield = threading.RLock()  # replaced by the watch's

    def fileno(self):
        """Returns the descriptor frames arrive on."""
        return self._in.fileno()

    def receive(self):
        """Returns the next message, or None at the end of the stream."""
        while True:
            line = self._in.readline(self.max_frame + 1)
            if not line:
                return None
            if len(line) > self.max_frame:
                raise BadFrame("a frame of more than %d bytes" % self.max_frame)
            if not line.strip():
                continue
            if not line.endswith(b"\n"):
                return None  # the daemon died while it wrote
            try:
                text = line.decode("utf-8")
                # What `json.loads` does, less what it does for other inputs.
                message, end = self._scan(text)
                if end != len(text) - 1 and text[end:].strip():
                    raise ValueError("more than one value")
                message["type"]
            except (ValueError, TypeError, KeyError):
                raise BadFrame("not a message: %r" % line[:200])
            self.line = line
            return message

    def send(self, message):
        """Writes one message given as a dict."""
        self.send_bytes(encode(message))

    def send_bytes(self, data):
        """Writes whole lines that are encoded already."""
        if _getpid() != self._pid:
            return  # a forked child of the plugin: the protocol is not its own
        with self.shield, self._lock:
            try:
                written = _write(self._out, data)
                while written < len(data):
                    written += _write(self._out, data[written:])
            except OSError:
                raise HostGone()


def encode(message):
    """Returns a message as one line. What UTF-8 cannot hold becomes a question mark."""
    return _as_json(message).encode("utf-8", "replace") + b"\n"
