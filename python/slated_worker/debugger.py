"""A worker at a terminal: `config.debug` of the hello, for `slated try --pdb`."""

import sys
import traceback

_allowed = []


def allow():
    """Says that this process has a terminal, and somebody at it."""
    _allowed[:] = [True]


def is_allowed():
    """Tells whether a debugger may be used."""
    return bool(_allowed)


def look_into(error, tb):
    """Opens the debugger where an exception arose, unless that is how a person left it. `tb` is
    the plugin's part of the traceback, or None."""
    if not _allowed or tb is None or type(error).__name__ == "BdbQuit":
        return
    import pdb  # which no other worker needs

    traceback.print_exception(type(error), error, tb)
    sys.stderr.flush()
    try:
        pdb.post_mortem(tb)
    except BaseException:
        # Whatever way a person leaves it: what failed is told as it is.
        pass
