"""Lets a Task follow the status of its Versions.

When the status of a Version changes to one that STATUSES names, the Task that the Version
was made for gets the status beside it: a Version sent to review takes its Task to review,
an approved one approves it.

Settings, read from the environment:

    SGDAEMON_TASK_FOLLOWS_VERSION_NAME  the script user this plugin writes as
    SGDAEMON_TASK_FOLLOWS_VERSION_KEY   its key

Safe to run twice for one event: a Task that has the status already is left alone.
"""

import os

SCRIPT = os.environ["SGDAEMON_TASK_FOLLOWS_VERSION_NAME"]
KEY = os.environ["SGDAEMON_TASK_FOLLOWS_VERSION_KEY"]

# Status of a Version -> status its Task gets. Put the codes of your site here.
STATUSES = {
    "rev": "rev",
    "apr": "apr",
    "rej": "ip",
}


def registerCallbacks(reg):
    # A new Version is an event of this kind too, with `in_create` in its meta.
    reg.registerCallback(
        SCRIPT,
        KEY,
        task_follows_version,
        {"Shotgun_Version_Change": ["sg_status_list"]},
        args=STATUSES,
    )


def task_follows_version(sg, logger, event, statuses):
    if event["entity"] is None:
        return  # deleted since, and nobody's any more
    if (event["user"] or {}).get("name") == SCRIPT:
        return  # its own doing
    wanted = statuses.get(event["meta"].get("new_value"))
    if wanted is None:
        return
    # The event tells what happened then; what is written must fit what is there now.
    version = sg.find_one(
        "Version",
        [["id", "is", event["entity"]["id"]]],
        ["code", "sg_status_list", "sg_task.Task.sg_status_list", "sg_task"],
    )
    if not version or not version["sg_task"]:
        return
    if version["sg_status_list"] != event["meta"]["new_value"]:
        logger.info("%s went on to %s since; left alone.", version["code"], version["sg_status_list"])
        return
    task = version["sg_task"]
    if version["sg_task.Task.sg_status_list"] == wanted:
        return
    sg.update("Task", task["id"], {"sg_status_list": wanted})
    logger.info("Task %s is %s now, as %s.", task["name"], wanted, version["code"])
