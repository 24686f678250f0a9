"""Tells the coordinators' chat what was submitted and what was approved.

Posts `{"text": ..., "key": ...}` to a webhook; most chat services take that. `key` is the
same whenever the same event is told again, for a service that drops doubles.

Settings, read from the environment:

    SGDAEMON_NOTIFY_COORDINATOR_NAME  a script user; nothing is written to the site
    SGDAEMON_NOTIFY_COORDINATOR_KEY   its key
    COORDINATOR_CHAT_URL              the webhook; without it, nobody is told anything

A chat that does not answer is no reason to stop, so `stopOnError` is False, and nothing is
caught here: the daemon sees the network error, goes on, and tries this event again beside
the others. (The Python event daemon logs the error and goes on without another try.)
"""

import json
import os
import urllib.request

SCRIPT = os.environ["SGDAEMON_NOTIFY_COORDINATOR_NAME"]
KEY = os.environ["SGDAEMON_NOTIFY_COORDINATOR_KEY"]
CHAT = os.environ.get("COORDINATOR_CHAT_URL")

# In seconds.
PATIENCE = 10


def registerCallbacks(reg):
    if not CHAT:
        reg.logger.warning("COORDINATOR_CHAT_URL is not set, so nobody is told anything.")
        return
    # A dry run tells nobody. The Python event daemon has none.
    dry = getattr(reg, "isDry", lambda: False)()
    reg.registerCallback(
        SCRIPT,
        KEY,
        notify_coordinator,
        {
            "Shotgun_Version_New": None,
            "Shotgun_Version_Change": ["sg_status_list"],
        },
        args={"dry": dry},
        stopOnError=False,
    )


def notify_coordinator(sg, logger, event, args):
    if event["event_type"] == "Shotgun_Version_New":
        what = "submitted"
    elif event["meta"].get("new_value") == "apr":
        what = "approved"
    else:
        return
    who = (event["user"] or {}).get("name", "Somebody")
    version = (event["entity"] or {}).get("name", "a Version that is gone")
    if args["dry"]:
        logger.info("Not told: %s %s %s.", who, what, version)
        return
    say("%s %s %s" % (who, what, version), "notify_coordinator:%d" % event["id"])
    logger.info("The chat knows that %s %s %s.", who, what, version)


def say(text, key):
    body = json.dumps({"text": text, "key": key}).encode("utf-8")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(CHAT, body, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        answer.read()
