"""One callback with one event."""

import os
import sys
import time

from slated_worker import cause, debugger, failure
from slated_worker.watch import PluginTimeout

# As they are before a plugin runs: what it puts in their places is for its own use.
_getpid = os.getpid
_clock = time.perf_counter


class Caller(object):
    """Runs callbacks and says how it went."""

    def __init__(self, watch, use_session_uuid, site_url):
        self._watch = watch
        self._use_session_uuid = use_session_uuid
        self._site_url = site_url
        self._pid = _getpid()

    def call(self, callback, event, timeout_ms):
        """Runs a callback. Returns (microseconds, None) or (microseconds, error report).
        Whatever the callback raises, SystemExit and KeyboardInterrupt too, is its failure."""
        watch = self._watch
        begun = _clock()
        error = None
        try:
            try:
                watch.begin(timeout_ms)
                if self._use_session_uuid:
                    callback.sg.set_session_uuid(event.get("session_uuid"))
                callback.function(callback.sg, callback.logger, event, callback.args)
            finally:
                watch.end()
        except BaseException as raised:
            error = raised
            # Once more: a limit may have struck between the call's end and the line above.
            watch.end()
        us = int((_clock() - begun) * 1000000)
        if _getpid() != self._pid:
            _end_forked_child(error)
        if error is None:
            return us, None
        sys.settrace(None)  # what a debugger without a terminal leaves behind
        report = self._report(error)
        debugger.look_into(error, failure.plugin_part(error))
        # Its traceback holds this frame, and so all that the callback held until the next collection.
        error = None
        return us, report

    def _report(self, error):
        report = failure.describe(error)
        if isinstance(error, PluginTimeout):
            report["limit"] = True
        else:
            found = cause.classify(error, self._site_url)
            if found:
                report["cause"] = found
        return report


def _end_forked_child(error):
    """A callback forked, and the child came back: it ends as a script would."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
