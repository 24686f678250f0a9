"""What a plugin finds around it: umask, import paths, timeouts, no debugger's terminal."""

import faulthandler
import os
import signal
import socket
import sys

from slated_worker import debugger, imports

NO_TERMINAL = (
    "a worker has no terminal, so a debugger cannot be used in it: take the breakpoint out,"
    " or use `slated try --pdb`"
)


def prepare(config, plugin_path):
    """Applies the hello's `config`."""
    umask = config.get("umask")
    if umask is not None:
        os.umask(umask)
    import_from(config.get("import_paths", ()))
    imports.follow(config.get("plugin_folders", ()))
    imports.look_beside(plugin_path, config.get("plugin_folders", ()))
    sys.argv[:] = [plugin_path]
    limit_sockets()
    if config.get("debug"):
        debugger.allow()
    elif os.environ.get("PYTHONBREAKPOINT") != "0":  # which switches breakpoints off
        sys.breakpointhook = _no_breakpoint


# The import paths that stand in front already, as the only item.
_in_front = []


def import_from(paths):
    """Puts these folders in front; a worker that was forked finds them there."""
    paths = [str(path) for path in paths]
    if paths in _in_front:
        return
    # The first entry is this package's own folder. It goes, so that plugins see only
    # what the studio put there.
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]
    sys.path[:0] = paths
    imports.follow(paths)
    _in_front[:] = [paths]


def limit_sockets():
    """Lets no socket wait for ever."""
    socket.setdefaulttimeout(60)


def _no_breakpoint(*_args, **_kwargs):
    raise RuntimeError(NO_TERMINAL)


def dump_stacks_on_request():
    """Writes every thread's stack to stderr on SIGUSR2, even while C code holds the
    interpreter, and on a crash. On a descriptor of its own: plugins may replace stderr."""
    own = os.fdopen(os.dup(2), "wb", 0)
    faulthandler.enable(file=own, all_threads=True)
    faulthandler.register(signal.SIGUSR2, file=own, all_threads=True, chain=False)
    return own
