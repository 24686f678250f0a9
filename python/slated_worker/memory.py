"""The memory limit: what a plugin allocates beyond it raises MemoryError in the plugin.

The system limits what a process may map, which is far more than it uses; so the limit allows, on
top of what is configured, what is mapped and not used when the plugin is about to be loaded.
"""

import os

# The bytes as configured, and what was set for them; None: no limit.
_configured = None
_soft = None


def limit(configured):
    """Lets this process use so many bytes; does nothing where /proc does not say what it uses."""
    global _configured, _soft
    try:
        with open("/proc/self/statm") as statm:
            size, resident = statm.read().split()[:2]
    except (OSError, ValueError):
        return
    import resource

    unused = (int(size) - int(resident)) * os.sysconf("SC_PAGE_SIZE")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = configured + unused
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    _configured, _soft = configured, soft


def lift():
    """Lets the worker itself finish what it has to do: a plugin may hold all there is."""
    _set(False)


def restore():
    """Sets the limit anew."""
    _set(True)


def _set(limited):
    if _soft is None:
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (_soft if limited else hard, hard))


def explain():
    """Returns what a MemoryError means here; empty where there is no limit."""
    if _configured is None:
        return ""
    return "the process reached its memory_limit of %d MiB" % (_configured >> 20)
