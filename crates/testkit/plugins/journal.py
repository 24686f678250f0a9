"""A plugin that journals every body, and misbehaves as a JSON file beside it tells it to.

slated-testkit writes both files; crates/testkit/src/plugins.rs describes the settings and
crates/testkit/src/history the journal. Each line is one write to a file opened for append,
so that lines of many processes never mix and their order is the order of what happened.
"""

import json
import os
import re
import signal
import sys
import time
import uuid

with open(os.path.splitext(__file__)[0] + ".json") as _file:
    SETTINGS = json.load(_file)
RUN = uuid.uuid4().hex
_journal = os.open(SETTINGS["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
_bodies = 0


def journal(line, **fields):
    fields.update(line=line, run=RUN)
    os.write(_journal, (json.dumps(fields) + "\n").encode("utf-8"))


def now_ms():
    return int(time.time() * 1000)


def registerCallbacks(reg):
    for settings in SETTINGS["callbacks"]:
        reg.registerCallback(
            SETTINGS["script"],
            SETTINGS["key"],
            make_callback(settings),
            settings["match"],
            settings,
            settings["stop_on_error"],
        )
    journal("load", plugin=SETTINGS["plugin"], pid=os.getpid())


def make_callback(settings):
    def callback(sg, logger, event, args):
        global _bodies
        _bodies += 1
        body = _bodies
        spring("before_body")
        journal(
            "start",
            plugin=SETTINGS["plugin"],
            body=body,
            callback=callback_id(settings),
            event=event["id"],
            at_ms=now_ms(),
        )
        ok = at_site = False
        try:
            if args is not settings:
                raise AssertionError("args is not the object that was registered")
            if settings["sleep_ms"]:
                time.sleep(settings["sleep_ms"] / 1000.0)
            for rule in settings["rules"]:
                if applies(rule, settings, event):
                    misbehave(rule["act"])
            spring("in_body")
            at_site = True
            write(sg, settings["write"], event)
            ok = True
        finally:
            journal("end", body=body, ok=ok, site=at_site and not ok, at_ms=now_ms())
        spring("after_body")

    callback.__name__ = str(settings["name"])
    return callback


def callback_id(settings):
    """Names a callback as slated does: the second one of a name is name#2."""
    names = [other["name"] for other in SETTINGS["callbacks"]]
    k = names[: place_of(settings, SETTINGS["callbacks"]) + 1].count(settings["name"])
    return settings["name"] if k == 1 else "%s#%d" % (settings["name"], k)


def applies(rule, settings, event):
    """Tells whether a rule is due, and counts it: its times hold over all processes."""
    if event["id"] % rule["every"]:
        return False
    if rule["times"] is None:
        return True
    name = "%s.%d.%d" % (callback_id(settings), place_of(rule, settings["rules"]), event["id"])
    folder = os.path.splitext(__file__)[0] + ".tries"
    os.makedirs(folder, exist_ok=True)
    tries = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.fstat(tries).st_size >= rule["times"]:
            return False
        os.write(tries, b".")
        return True
    finally:
        os.close(tries)


def spring(point):
    """Kills the daemon, and this process too, where the test has set a trap at this point."""
    try:
        with open(SETTINGS["trap"]) as file:
            trap = json.load(file)
    except OSError:
        return
    if trap["point"] != point:
        return
    passed = os.open(SETTINGS["trap"] + ".passed", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(passed, b".")
        if os.fstat(passed).st_size < trap["count"]:
            return
    finally:
        os.close(passed)
    try:
        # One alone springs it.
        os.rename(SETTINGS["trap"], SETTINGS["trap"] + ".sprung")
    except OSError:
        return
    os.kill(trap["pid"], signal.SIGKILL)
    if trap["both"]:
        os.kill(os.getpid(), signal.SIGKILL)


def place_of(one, many):
    return next(place for place, other in enumerate(many) if other is one)


def misbehave(act):
    if act == "raise":
        raise ValueError("told to fail")
    if act == "network":
        raise ConnectionResetError("told to lose a connection")
    if act == "sys_exit":
        sys.exit(3)
    if act == "exit":
        os._exit(3)
    if act == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if act == "hang":
        while True:
            time.sleep(3600)
    if act == "spin":
        while True:
            pass
    if act == "clutch":
        re.match(r"(a+)+$", "a" * 60 + "b")
    raise AssertionError("no such act: %s" % act)


def write(sg, settings, event):
    """Creates an entity on the site, as a real plugin would."""
    if not settings:
        return
    data = dict(settings["data"])
    data[settings["field"]] = settings["text"].replace("{event}", str(event["id"]))
    sg.create(settings["type"], data)
