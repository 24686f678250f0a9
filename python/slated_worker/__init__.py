"""The Python side of a slated worker: one process that runs one plugin.

The daemon starts this package with the studio's own interpreter, tells it over a pipe
which file to load, and hands it events; the worker answers after every callback.
Standard library only, syntax of Python 3.7: it must run wherever plugins run.

    __main__       the way in: takes the pipes away from stdin and stdout, then serves
    parent         imports once what every worker needs, and forks workers
    serve          hello, load, ready, then frames one after the other until goodbye
    channel        lines in and out
    loading        a file becomes a module, with errors a person can act on
    registrar      what a plugin sees as `reg`, and what it registered
    matching       `matchEvents` as the daemon understands it
    clients        the `sg` of each callback
    dry            a client that refuses and records what it is to write
    events         a row as the client would have returned it
    calls          one callback with one event
    failure        what is told about an exception
    cause          whether the network or the site stood behind it
    logs           records of the plugin's loggers as frames
    watch          soft limits, and the end of a worker nobody reads
    surroundings   umask, import paths, timeouts, debuggers
    texts          cutting, masking and printing what may not be printable
"""

__version__ = "0.1.0"
