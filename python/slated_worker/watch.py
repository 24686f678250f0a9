"""Soft limits, and the end of a worker nobody reads.

One daemon thread does both. It waits for the hang-up of the inward pipe: the daemon is
gone, the call in flight gets a short grace, then the whole process group ends. And it
waits for the soft limit of the call in flight: a signal interrupts the main thread in
`sleep`, in a lock, in a socket, where an exception set from outside would not.

Invariant: a limit never hits another call. The watcher signals only while it holds the
lock and sees the call it means; the handler raises only if that call still runs.
"""

import os
import select
import signal
import threading
import time

# As they are before a plugin runs: what it puts in their places is for its own use.
_clock, _sleep = time.monotonic, time.sleep
_getpid, _getpgrp, _kill, _killpg = os.getpid, os.getpgrp, os.kill, os.killpg
_read, _write = os.read, os.write
_ident, _signal_thread = threading.get_ident, signal.pthread_kill

LIMIT_SIGNAL = getattr(signal, "SIGRTMIN", None) or getattr(signal, "SIGUSR1", None)
_KILL = signal.SIGKILL


class PluginTimeout(BaseException):
    """A callback ran longer than its soft limit. Not an Exception, so that
    `except Exception` in a plugin does not swallow it."""


class Watch(object):
    """Watches the pipe and the call in flight. `begin`, `end` and the shield belong to the
    main thread."""

    def __init__(self, fd, orphan_grace):
        self._fd = fd
        self._grace = orphan_grace
        self._main = _ident()
        self._lock = threading.Lock()
        self._count = 0
        self._call = 0  # the call in flight; 0: none
        self._armed = False
        self._deadline = None
        self._seconds = 0
        self._target = 0  # the call the last signal meant
        self._held = 0
        self._deferred = False
        self._planned = None  # when the watcher looks next
        self._wake_in, self._wake_out = os.pipe()
        self._leaving = False
        self.orphaned = False

    def start(self):
        """Starts to watch."""
        signal.signal(LIMIT_SIGNAL, self._on_signal)
        thread = threading.Thread(target=self._watch, name="slated-watch")
        thread.daemon = True
        thread.start()

    def leave(self):
        """Says that a hang-up is expected from now on."""
        self._leaving = True

    def hung_up(self):
        """Ends the process's group, where it leads one: the daemon is gone without a goodbye,
        and what a callback left running must not meet the callback's next run."""
        if _getpgrp() == _getpid():
            end_group()

    def begin(self, timeout_ms):
        """Says that a call starts; `timeout_ms` may be None."""
        self._count += 1
        self._call = self._count
        if timeout_ms:
            with self._lock:
                self._seconds = timeout_ms / 1000.0
                self._deadline = _clock() + self._seconds
                self._armed = True
                if self._planned is None or self._deadline < self._planned:
                    self._planned = self._deadline
                    _write(self._wake_out, b"x")

    def end(self):
        """Says that the call has ended; may be said twice."""
        self._call = 0
        self._deferred = False
        if self._armed:
            with self._lock:
                self._armed = False
                self._deadline = None

    # The shield: what stands in `with watch:` is not cut by a limit, which waits instead.
    def __enter__(self):
        if _ident() == self._main:
            self._held += 1

    def __exit__(self, *_):
        if _ident() == self._main:
            self._held -= 1
            if self._deferred and not self._held:
                self._deferred = False
                self._raise()

    def _on_signal(self, _signum, _frame):
        if self._call and self._target == self._call:
            if self._held:
                self._deferred = True
            else:
                self._raise()

    def _raise(self):
        self._target = 0
        raise PluginTimeout("the call ran longer than its soft limit of %g s" % self._seconds)

    def _watch(self):
        poll = select.poll()
        poll.register(self._fd, 0)
        poll.register(self._wake_in, select.POLLIN)
        while True:
            for fd, what in poll.poll(self._next_look()):
                if fd == self._wake_in:
                    _read(self._wake_in, 4096)
                elif what & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                    poll.unregister(self._fd)
                    if not self._leaving:
                        self._end_as_orphan()

    def _next_look(self):
        """Signals what is due; returns milliseconds until the next look, or None."""
        with self._lock:
            now = _clock()
            if self._deadline is not None and now >= self._deadline:
                self._deadline = None
                if self._call:
                    self._target = self._call
                    _signal_thread(self._main, LIMIT_SIGNAL)
            self._planned = self._deadline
            if self._planned is None:
                return None
            return max(1, int((self._planned - now) * 1000) + 1)

    def _end_as_orphan(self):
        self.orphaned = True
        until = _clock() + self._grace
        while self._call and _clock() < until:
            _sleep(0.01)
        # The main thread leaves by itself when it reads next; threads the plugin left
        # behind may keep the process alive, so the end does not wait for them.
        _sleep(0.05)
        end_group()


def end_group():
    """Ends this process, and its group where it leads one. Does not return."""
    if _getpgrp() == _getpid():
        _killpg(0, _KILL)
    _kill(_getpid(), _KILL)
