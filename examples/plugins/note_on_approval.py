"""Writes a Note when a Version is approved.

The Note is linked to the Version and what it shows, belongs to its Task, is addressed to
the artist, and says who approved.

Settings, read from the environment:

    SGDAEMON_NOTE_ON_APPROVAL_NAME  the script user this plugin writes as
    SGDAEMON_NOTE_ON_APPROVAL_KEY   its key

Safe to run twice for one event: a Version has one such Note, found by its subject.
"""

import os

SCRIPT = os.environ["SGDAEMON_NOTE_ON_APPROVAL_NAME"]
KEY = os.environ["SGDAEMON_NOTE_ON_APPROVAL_KEY"]

APPROVED = "apr"


def registerCallbacks(reg):
    reg.registerCallback(
        SCRIPT,
        KEY,
        note_on_approval,
        {"Shotgun_Version_Change": ["sg_status_list"]},
    )


def note_on_approval(sg, logger, event, args):
    if event["entity"] is None or event["meta"].get("new_value") != APPROVED:
        return
    version = sg.find_one(
        "Version",
        [["id", "is", event["entity"]["id"]]],
        ["code", "entity", "project", "sg_task", "user"],
    )
    if not version:
        return  # deleted since
    subject = "%s is approved" % version["code"]
    known = sg.find_one("Note", [["note_links", "is", version], ["subject", "is", subject]])
    if known:
        logger.info("%s has Note %d already.", version["code"], known["id"])
        return
    user = event["user"] or {}
    artist = version["user"]
    note = sg.create(
        "Note",
        {
            "project": version["project"],
            "subject": subject,
            "content": "Approved by %s." % user.get("name", "somebody"),
            "note_links": [link for link in (version, version["entity"]) if link],
            "tasks": [version["sg_task"]] if version["sg_task"] else [],
            # A script that submitted a Version reads no notes.
            "addressings_to": [artist] if artist and artist["type"] == "HumanUser" else [],
        },
    )
    logger.info("Note %d says that %s is approved.", note["id"], version["code"])
