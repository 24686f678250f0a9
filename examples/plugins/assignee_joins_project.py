"""Adds whoever is assigned to a Task to the people of its Project.

Settings, read from the environment:

    SGDAEMON_ASSIGNEE_JOINS_PROJECT_NAME  the script user this plugin writes as
    SGDAEMON_ASSIGNEE_JOINS_PROJECT_KEY   its key

Safe to run twice for one event: who is in the Project already is not added, and who was taken
off the Task since is nobody's business any more. Groups are left alone.
"""

import os

SCRIPT = os.environ["SGDAEMON_ASSIGNEE_JOINS_PROJECT_NAME"]
KEY = os.environ["SGDAEMON_ASSIGNEE_JOINS_PROJECT_KEY"]


def registerCallbacks(reg):
    # A new Task with assignees is an event of this kind too, with `in_create` in its meta.
    reg.registerCallback(
        SCRIPT,
        KEY,
        assignee_joins_project,
        {"Shotgun_Task_Change": ["task_assignees"]},
    )


def assignee_joins_project(sg, logger, event, args):
    added = people(event["meta"].get("added"))
    if event["entity"] is None or not added:
        return
    task = sg.find_one(
        "Task",
        [["id", "is", event["entity"]["id"]]],
        ["task_assignees", "project.Project.users", "project"],
    )
    if not task or not task["project"]:
        return
    assigned = people(task["task_assignees"])
    members = people(task["project.Project.users"])
    missing = [id for id in added if id in assigned and id not in members]
    if not missing:
        return
    # "add" leaves alone what somebody else writes there at the same moment.
    sg.update(
        "Project",
        task["project"]["id"],
        {"users": [{"type": "HumanUser", "id": id} for id in missing]},
        multi_entity_update_modes={"users": "add"},
    )
    names = ", ".join(added[id] for id in missing)
    logger.info("%s joined %s.", names, task["project"]["name"])


def people(links):
    """Returns {id: name} of the people among these links."""
    return {
        link["id"]: link.get("name", "Somebody")
        for link in links or []
        if link["type"] == "HumanUser"
    }
