"""Puts the Tasks of a Shot on hold with it.

When the status of a Shot changes to one that STATUSES names, its Tasks get the status beside
it, in one transaction. Tasks that are finished keep theirs.

Settings, read from the environment:

    SGDAEMON_TASKS_FOLLOW_SHOT_NAME  the script user this plugin writes as
    SGDAEMON_TASKS_FOLLOW_SHOT_KEY   its key

Safe to run twice for one event: Tasks that have the status already are left alone.

It goes together with shot_follows_tasks.py, the other way: that one writes none of the
statuses that this one hands on. Keep it so, or they answer each other for ever.
"""

import os

SCRIPT = os.environ["SGDAEMON_TASKS_FOLLOW_SHOT_NAME"]
KEY = os.environ["SGDAEMON_TASKS_FOLLOW_SHOT_KEY"]

# Status of a Shot -> status its Tasks get. Put the codes of your site here.
STATUSES = {
    "hld": "hld",
    "omt": "hld",
}
# Of Tasks that keep theirs.
FINISHED = ["fin", "apr"]


def registerCallbacks(reg):
    reg.registerCallback(
        SCRIPT,
        KEY,
        tasks_follow_shot,
        {"Shotgun_Shot_Change": ["sg_status_list"]},
        args=STATUSES,
    )


def tasks_follow_shot(sg, logger, event, statuses):
    wanted = statuses.get(event["meta"].get("new_value"))
    if event["entity"] is None or wanted is None:
        return
    shot = sg.find_one(
        "Shot", [["id", "is", event["entity"]["id"]]], ["code", "sg_status_list"]
    )
    if not shot:
        return  # deleted since
    if shot["sg_status_list"] != event["meta"]["new_value"]:
        logger.info("%s went on to %s since; left alone.", shot["code"], shot["sg_status_list"])
        return
    others = [
        ["entity", "is", {"type": "Shot", "id": shot["id"]}],
        ["sg_status_list", "not_in", FINISHED + [wanted]],
    ]
    tasks = sg.find("Task", others)
    if not tasks:
        return
    change = {"sg_status_list": wanted}
    sg.batch(
        [
            {"request_type": "update", "entity_type": "Task", "entity_id": task["id"], "data": change}
            for task in tasks
        ]
    )
    logger.info("%d Tasks of %s are %s now.", len(tasks), shot["code"], wanted)
