"""What is told about an exception. Nothing in here raises because of what it prints."""

import os
import traceback

from slated_worker import debugger, memory, surroundings, texts
from slated_worker.watch import PluginTimeout

TRACEBACK_LIMIT = 64 * 1024
LOCALS_LIMIT = 32 * 1024
MESSAGE_LIMIT = 8 * 1024

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def class_name(error):
    """Returns the exception's class as tracebacks write it."""
    kind = type(error)
    if isinstance(error, PluginTimeout) or kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return "%s.%s" % (kind.__module__, kind.__qualname__)


def plugin_part(error):
    """Returns the traceback without the worker's own frames, or None."""
    tb = error.__traceback__
    while tb is not None and _is_ours(tb.tb_frame):
        tb = tb.tb_next
    return tb


def _is_ours(frame):
    return (frame.f_globals.get("__name__") or "").partition(".")[0] == "slated_worker"


def describe(error):
    """Returns {type, message, traceback, locals?} of an exception that left a plugin."""
    if not isinstance(error, MemoryError):
        return _describe(error)
    # Its frames still hold what filled the memory.
    memory.lift()
    try:
        return _describe(error)
    finally:
        memory.restore()


def _describe(error):
    tb = plugin_part(error)
    message = texts.safe_str(error)
    if type(error).__name__ == "BdbQuit":
        message = "the debugger was left" if debugger.is_allowed() else surroundings.NO_TERMINAL
    if isinstance(error, MemoryError):
        message = ": ".join(text for text in (memory.explain(), message) if text)
    try:
        told = traceback.TracebackException(type(error), error, tb)
        _end_in_the_plugin(told)
        trace = "".join(told.format())
    except BaseException as broken:
        trace = "(the traceback cannot be printed: %s)\n" % type(broken).__name__
    report = {
        "type": class_name(error),
        "message": texts.masked(texts.cut(message, MESSAGE_LIMIT)),
        "traceback": texts.masked(texts.cut(trace, TRACEBACK_LIMIT)),
    }
    if tb is not None:
        report["locals"] = _locals(tb.tb_frame)
    return report


def _end_in_the_plugin(told):
    """Leaves out the worker's frames at the end: where it refuses what it was given, the plugin's
    line is the one to look at."""
    told = [told]
    while told:
        one = told.pop()
        if one is None:
            continue
        while len(one.stack) > 1 and one.stack[-1].filename.startswith(_HERE):
            one.stack.pop()
        told += [one.__cause__, one.__context__]


def _locals(frame):
    """The variables of the outermost frame in the plugin, one a line."""
    try:
        pairs = sorted(dict(frame.f_locals).items(), key=lambda pair: str(pair[0]))
        lines = ["%s = %s" % (name, texts.safe_repr(value)) for name, value in pairs]
    except BaseException as broken:
        return "(the variables cannot be printed: %s)" % type(broken).__name__
    return texts.masked(texts.cut("\n".join(lines), LOCALS_LIMIT))
