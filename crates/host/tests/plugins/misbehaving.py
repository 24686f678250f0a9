"""Does what the event's `meta["do"]` says. Every callback takes every event, so that tests
say by number which one runs: 0 quiet, 1 act, 2 keep_going (stopOnError=False)."""

import ctypes
import logging
import os
import subprocess
import sys
import time


class Broken(object):
    def __repr__(self):
        raise ValueError("no repr")


def act(sg, logger, event, args):
    meta = event["meta"]
    what = meta["do"]
    if what == "nothing":
        return
    if what == "raise":
        unprintable = Broken()
        number = 42
        raise ValueError("as asked, umlaut \xe4, half a pair \ud800")
    if what == "system_exit":
        sys.exit(3)
    if what == "interrupt":
        raise KeyboardInterrupt()
    if what == "print":
        print("to stdout")
        sys.stderr.write("to stderr\n")
        os.write(1, b"to descriptor 1\n")
        subprocess.check_call(["sh", "-c", "echo from a child"])
        return
    if what == "log":
        logger.warning("a %s message", "formatted")
        try:
            {}["missing"]
        except KeyError:
            logger.exception("with a traceback")
        logger.debug("below the level")
        return
    if what == "exit":
        os._exit(9)
    if what == "segfault":
        ctypes.string_at(0)
    if what == "sleep":
        say(meta, "asleep")
        time.sleep(float(meta["seconds"]))
        return
    if what == "hang":
        say(meta, "hanging")
        deaf = meta.get("deaf")
        while True:
            try:
                time.sleep(60)
            except BaseException:
                if not deaf:
                    raise
    if what == "hold_the_gil":
        import re

        say(meta, "busy")
        re.match(r"(a+)+$", "a" * 40 + "b")
    if what == "child":
        # A grandchild that holds stderr open and outlives the callback.
        child = subprocess.Popen(["sleep", "60"])
        say(meta, str(child.pid))
        return
    if what == "fork":
        if os.fork() == 0:
            return
        return
    if what == "garbage":
        # The protocol's own descriptor, which no plugin finds by accident.
        for fd in range(3, 20):
            try:
                if os.readlink("/proc/self/fd/%d" % fd).startswith("pipe:"):
                    os.write(fd, b"this is no message\n")
            except OSError:
                pass
        return
    if what == "big_failure":
        raise ValueError("x" * 50000000)
    if what == "timeout_loop":
        until = time.monotonic() + float(meta["seconds"])
        while time.monotonic() < until:
            logger.info("tick")
        return
    raise AssertionError("no such switch: %r" % what)


def say(meta, text):
    """Leaves a fact in a file for the test to wait for."""
    if "note" in meta:
        with open(meta["note"] + ".part", "w") as file:
            file.write(text)
        os.rename(meta["note"] + ".part", meta["note"])


def quiet(sg, logger, event, args):
    args.append(event["id"])


def keep_going(sg, logger, event, args):
    act(sg, logger, event, args)


def wrong_arity(sg, logger):
    pass


def registerCallbacks(reg):
    where = os.environ.get("MISBEHAVE_AT_LOAD")
    if where == "hang":
        time.sleep(60)
    if where == "raise":
        raise RuntimeError("the schema cannot be read")
    if where == "refused":
        import socket

        socket.create_connection(("127.0.0.1", 1))
    if where == "exit":
        os._exit(7)
    logging.getLogger("elsewhere").debug("not for the daemon")
    seen = []
    reg.registerCallback("script", "key-of-script", quiet, {}, seen)
    reg.registerCallback("script", "key-of-script", act, {"Shotgun_Task_Change": ["sg_status_list"]})
    reg.registerCallback("script", "key-of-script", keep_going, None, None, False)
    reg.registerCallback("script", "key-of-script", wrong_arity, stopOnError=False)
    reg.logger.info("registered")
