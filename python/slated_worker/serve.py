"""Hello, load, ready, then frames one after the other until goodbye."""

import _thread
import os
import platform
import sys
import time

import slated_worker
from slated_worker import calls, channel as channels, clients, dry, events, imports, loading
from slated_worker import logs, memory, registrar, surroundings
from slated_worker import watch as watches

PROTOCOL = {"major": 1, "minor": 3}
FEATURES = ["log", "dry", "imports", "stack"]

# How the process ends.
OK = 0
INTERNAL = 70
PROTOCOL_MISMATCH = 75
LOAD_FAILED = 78

TOO_MANY_IMPORTS = (
    "it imports more than %d files from the plugins folders and import paths;"
    " edits of the others are not seen"
)

# As they are before a plugin runs: what it puts in their places is for its own use.
_exit, _sleep = os._exit, time.sleep

# How long threads and exit handlers a plugin left behind may hold up the end, in seconds.
EXIT_GRACE = 2.0


def serve(inward, outward):
    """Serves one daemon over two descriptors; returns the exit code."""
    channel = channels.Channel(inward, outward)
    try:
        hello = channel.receive()
        if hello is None:
            return OK
        if hello["type"] != "hello":
            raise channels.BadFrame("the first message is %r, not a hello" % hello["type"])
        return _serve(channel, hello)
    except channels.HostGone:
        return INTERNAL
    except channels.BadFrame as error:
        sys.stderr.write("slated worker: %s\n" % error)
        return INTERNAL


def _serve(channel, hello):
    same_major = hello["protocol"]["major"] == PROTOCOL["major"]
    limits = hello["limits"]
    plugin_file = hello["plugin"]
    config = hello.get("config", {})
    site = hello["site"]
    channel.max_frame = limits.get("max_frame", channels.MAX_FRAME)
    watch = watches.Watch(channel.fileno(), limits.get("orphan_grace_ms", 2000) / 1000.0)
    channel.shield = watch
    watch.start()
    surroundings.dump_stacks_on_request()
    surroundings.prepare(config, plugin_file["path"])
    client, missing = None, None
    try:
        client = clients.load()
    except clients.NoClient as error:
        missing = error
    found = imports.Imports(plugin_file["path"])
    channel.send(_hello(clients.version(client) if client else None))
    if not same_major:
        return PROTOCOL_MISMATCH
    try:
        if client is None:
            raise loading.LoadFailed(loading.no_client(missing))
        handler = logs.FrameHandler(channel)
        if limits.get("memory"):
            memory.limit(limits["memory"])
        plugin, ready = _load(client, plugin_file, site, config, limits, handler, channel)
    except loading.LoadFailed as failed:
        files, _ = found.look(failed.__context__)
        channel.send(dict(failed.report, type="load_failed", imports=files))
        watch.leave()
        _hurry_out(LOAD_FAILED)
        return LOAD_FAILED
    ready["imports"], too_many = found.look()
    if too_many:
        ready["warnings"].append(TOO_MANY_IMPORTS % imports.MOST)
    channel.send(ready)
    caller = calls.Caller(watch, config.get("use_session_uuid", True), site["url"])
    # Another side would not know what is said to it.
    told = found if "imports" in hello.get("features", ()) else None
    return _Frames(channel, watch, handler, plugin, caller, events.Dates(client), told).run()


def _hello(client_version):
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "features": FEATURES,
        "runtime": "%s %s" % (sys.implementation.name, platform.python_version()),
        "sdk_version": slated_worker.__version__,
        "pid": os.getpid(),
        "shotgun_api3": client_version,
    }


def _load(client, plugin_file, site, config, limits, handler, channel):
    name, path = plugin_file["name"], plugin_file["path"]
    logger = logs.plugin_logger(name, config.get("log_level", 20), handler)
    opener = clients.Clients(client, site)
    # The daemon's key lives in the opener alone from here on.
    url = site["url"]
    for secret in ("lend", "proxy"):
        site.pop(secret, None)
    plugin = registrar.Plugin(logger, opener, dry=bool(config.get("dry")))
    if plugin.dry:
        dry.seal(client, dry.Ledger(channel, lambda: plugin.running))
    module, digest, warnings = loading.load(name, path, url)
    loading.register(module, registrar.Registrar(plugin), path, url)
    plugin.open = False
    ready = {
        "type": "ready",
        "callbacks": [callback.as_frame() for callback in plugin.callbacks],
        "emails": plugin.emails,
        "window": limits.get("window", 16),
        "warnings": warnings + plugin.warnings,
        "sha256": digest,
    }
    return plugin, ready


class _Frames(object):
    """The main loop."""

    def __init__(self, channel, watch, handler, plugin, caller, dates, imported=None):
        self._channel = channel
        self._watch = watch
        self._handler = handler
        self._plugin = plugin
        self._caller = caller
        self._dates = dates
        self._imported = imported
        self._dropped_turn = None

    def run(self):
        while True:
            frame = self._channel.receive()
            if frame is None:
                self._watch.hung_up()
                return OK
            kind = frame["type"]
            if kind == "event":
                if frame["turn"] != self._dropped_turn:
                    self._handler.seq = frame["seq"]
                    self._event(frame)
                    self._handler.seq = None
                    self._tell_imports()
            elif kind == "goodbye":
                self._watch.leave()
                _hurry_out(OK)
                return OK
            elif not frame.get("optional"):
                raise channels.BadFrame("unknown message type %r" % kind)

    def _tell_imports(self):
        """Says so when calls have imported more."""
        try:
            files = self._imported.news() if self._imported else None
        except Exception:
            return  # `os` and its kind are the plugin's to break
        if files is not None:
            self._channel.send({"type": "imports", "files": files})

    def _event(self, frame):
        seq = frame["seq"]
        event = self._dates.convert(frame["event"], self._channel.line)
        timeout = frame.get("timeout_ms")
        done = b'{"type":"done","seq":%d}\n' % seq
        numbers = frame["callbacks"]
        last = len(numbers) - 1
        for at, n in enumerate(numbers):
            if self._watch.orphaned:
                raise channels.HostGone()
            callback = self._callback(n)
            self._plugin.running = (frame, callback)
            us, error = self._caller.call(callback, event, timeout)
            self._plugin.running = None
            if error is None:
                answer = b'{"type":"result","seq":%d,"n":%d,"us":%d}\n' % (seq, n, us)
                stop = False
            else:
                # A site that is down fails every callback, and a callback that asked for
                # it stops its plugin: nothing may overtake the event that waits.
                stop = callback.stop_on_error or error.get("cause") == "site"
                answer = channels.encode(
                    {"type": "result", "seq": seq, "n": n, "us": us, "error": error, "stop": stop}
                )
            if stop or at == last:
                # One write, so that the daemon wakes up once.
                self._channel.send_bytes(answer + done)
            else:
                self._channel.send_bytes(answer)
            if stop:
                self._dropped_turn = frame["turn"]
                return
        if not numbers:
            self._channel.send_bytes(done)

    def _callback(self, n):
        if not 0 <= n < len(self._plugin.callbacks):
            raise channels.BadFrame("there is no callback %r" % (n,))
        return self._plugin.callbacks[n]


def _hurry_out(code):
    """Lets exit handlers run and threads end, but not for ever."""

    memory.lift()  # a thread may need more than is left

    def end():
        _sleep(EXIT_GRACE)
        try:
            sys.stderr.write("slated worker: threads of the plugin did not end; left behind\n")
        finally:
            _exit(code)

    # Not by `threading`, which may be the plugin's by now.
    _thread.start_new_thread(end, ())
