"""Finishes a Shot when the last of its Tasks is finished, and opens it again with one of them.

Settings, read from the environment:

    SGDAEMON_SHOT_FOLLOWS_TASKS_NAME  the script user this plugin writes as
    SGDAEMON_SHOT_FOLLOWS_TASKS_KEY   its key

Safe to run twice for one event, and in any order: what is written follows from the Tasks as
they are now, and a Shot that has the status already is left alone.
"""

import os

SCRIPT = os.environ["SGDAEMON_SHOT_FOLLOWS_TASKS_NAME"]
KEY = os.environ["SGDAEMON_SHOT_FOLLOWS_TASKS_KEY"]

# Put the codes of your site here.
STATUSES = {
    "done": ["fin", "apr"],  # of a Task
    "finished": "fin",  # of a Shot whose Tasks are all done
    "reopened": "ip",  # of a finished Shot with a Task that is not
    "kept": ["hld", "omt"],  # of a Shot that somebody took out of the way of things
}


def registerCallbacks(reg):
    reg.registerCallback(
        SCRIPT,
        KEY,
        shot_follows_tasks,
        {"Shotgun_Task_Change": ["sg_status_list"]},
        args=STATUSES,
    )


def shot_follows_tasks(sg, logger, event, statuses):
    if event["entity"] is None:
        return  # deleted since
    task = sg.find_one("Task", [["id", "is", event["entity"]["id"]]], ["entity"])
    if not task or not task["entity"] or task["entity"]["type"] != "Shot":
        return
    shot = sg.find_one("Shot", [["id", "is", task["entity"]["id"]]], ["code", "sg_status_list"])
    if not shot or shot["sg_status_list"] in statuses["kept"]:
        return
    # All of them, not the one of the event: two may be finished at the same moment.
    tasks = sg.find("Task", [["entity", "is", task["entity"]]], ["sg_status_list"])
    left = [task for task in tasks if task["sg_status_list"] not in statuses["done"]]
    finished = shot["sg_status_list"] == statuses["finished"]
    if bool(left) != finished:
        return  # it says so already
    wanted = statuses["reopened"] if left else statuses["finished"]
    sg.update("Shot", shot["id"], {"sg_status_list": wanted})
    logger.info("Shot %s is %s now: %d of %d Tasks left.", shot["code"], wanted, len(left), len(tasks))
