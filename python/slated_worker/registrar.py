"""What a plugin sees as `reg`, and what it registered."""

import logging
import types

from slated_worker import matching, texts

# Of code: generators, coroutines and both. To call such a function runs nothing of it.
_RUNS_LATER = 0x20 | 0x80 | 0x200


class Callback(object):
    """One registered callable, with its own client and logger."""

    def __init__(self, n, name, k, function, sg, logger, rules, args, stop_on_error):
        self.n = n
        self.name = name
        # What the daemon calls it: `name`, and `name#2` for the second of that name.
        self.id = name if k == 1 else "%s#%d" % (name, k)
        self.function = function
        self.sg = sg
        self.logger = logger
        self.rules = rules
        self.args = args
        self.stop_on_error = stop_on_error

    def as_frame(self):
        """Returns what the daemon must know about it."""
        return {
            "n": self.n,
            "name": self.name,
            "match": self.rules,
            "stop_on_error": self.stop_on_error,
            "args_repr": texts.masked(texts.cut(texts.safe_repr(self.args), 400)),
        }


class Plugin(object):
    """What one load registered."""

    def __init__(self, logger, clients, dry=False):
        self.logger = logger
        self.clients = clients
        # Whether nothing may be written to the site.
        self.dry = dry
        self.callbacks = []
        self.emails = True
        self.warnings = []
        self.open = True
        # The frame and the callback in hand, while one runs.
        self.running = None

    def register(self, script, key, function, match_events, args, stop_on_error):
        """Adds a callback; raises TypeError or ValueError for what cannot be one."""
        texts.hide(key)  # first: the line that has it may stand in a traceback
        if not self.open:
            raise RuntimeError("callbacks can be registered only while registerCallbacks runs")
        if not callable(function):
            raise TypeError(
                "the callback must be callable (a function, a method, an instance with"
                " __call__), not %s" % type(function).__name__
            )
        name = callable_name(function)
        rules, warnings = matching.normalise(match_events)
        code = getattr(function, "__code__", None)
        if isinstance(code, types.CodeType) and code.co_flags & _RUNS_LATER:
            warnings.append("a call runs nothing of it: it is `async`, or has a `yield`")
        self.warnings.extend("%s: %s" % (name, w) for w in warnings)
        self.callbacks.append(
            Callback(
                n=len(self.callbacks),
                name=name,
                k=1 + sum(other.name == name for other in self.callbacks),
                function=function,
                sg=self.clients.open(script, key),
                logger=logging.getLogger("%s.%s" % (self.logger.name, name)),
                rules=rules,
                args=args,
                stop_on_error=bool(stop_on_error),
            )
        )


class Registrar(object):
    """Handed to `registerCallbacks`. Plugins keep it and use its logger later."""

    def __init__(self, plugin):
        self.__plugin = plugin
        self.logger = plugin.logger

    def getLogger(self):
        """Returns the plugin's logger."""
        return self.logger

    def setEmails(self, *emails):
        """Says who gets mail about errors of this plugin: True the configured addresses,
        False nobody, or addresses, one by one or as a list."""
        flat = []
        for entry in emails:
            flat.extend(entry if isinstance(entry, (list, tuple, set, frozenset)) else [entry])
        if any(entry is True for entry in flat):
            self.__plugin.emails = True
        else:
            addresses = [entry for entry in flat if entry]
            for entry in addresses:
                if not isinstance(entry, str):
                    raise TypeError("setEmails takes True, False or addresses, not %r" % (entry,))
            self.__plugin.emails = addresses or False

    def getAttempt(self):
        """Returns which attempt at its event the running callback is: 1, or more where it failed
        before. One that slated's own end cut short is not counted. None between callbacks."""
        running = self.__plugin.running
        return running and running[0].get("attempt", 1)

    def getIdempotencyKey(self):
        """Returns a text that is the same at every attempt of the running callback at its event,
        and of no other: what a service takes to do a thing once. None between callbacks."""
        running = self.__plugin.running
        return running and "%s:%s" % (running[0].get("key", ""), running[1].id)

    def isReplay(self):
        """Tells whether the running callback is given a past event again, by `slated replay`.
        False between callbacks."""
        running = self.__plugin.running
        return bool(running and running[0].get("replay"))

    def isDry(self):
        """Tells whether this is a dry run: then `sg` refuses and records every write, and what
        else a plugin does, such as files and messages, it should leave."""
        return self.__plugin.dry

    def registerCallback(
        self,
        sgScriptName,
        sgScriptKey,
        callback,
        matchEvents=None,
        args=None,
        stopOnError=True,
    ):
        """Registers a callback."""
        self.__plugin.register(sgScriptName, sgScriptKey, callback, matchEvents, args, stopOnError)


def callable_name(function):
    """Returns the name a callback is known by: the function's, or the class's. Never an
    address, which would be another one after every restart."""
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and name else type(function).__name__
