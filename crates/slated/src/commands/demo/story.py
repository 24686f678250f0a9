"""The story that `slated demo` plays on the simulator, told through the official client.

Called with the address of the site. Every line on stdout is a JSON object: `{"say": TEXT}` when
something happens, `{"rest": null}` when all that happened so far should be followed first, which a
line on stdin says it was, and `{"cast": {...}}` at the end: what was played with.
"""

import json
import sys
import urllib.request

from shotgun_api3 import Shotgun

URL = sys.argv[1]


def tell(**line):
    print(json.dumps(line), flush=True)


def rest():
    tell(rest=None)
    if not sys.stdin.readline():
        sys.exit("nobody follows the story any more")


class Person(object):
    """Somebody at work, logged in as a person; on the simulator any password is right."""

    def __init__(self, login):
        self.sg = Shotgun(URL, login=login, password="demo")
        self.me = self.sg.find_one("HumanUser", [["login", "is", login]], ["name"])
        self.name = self.me["name"]

    def submits(self, task, number):
        """Makes a Version for a Task."""
        shot = task["entity"]
        code = "%s_anim_v%03d" % (shot["name"], number)
        tell(say="%s submits %s." % (self.name, code))
        version = self.sg.create(
            "Version",
            {
                "project": task["project"],
                "code": code,
                "entity": shot,
                "sg_task": {"type": "Task", "id": task["id"]},
                "user": {"type": "HumanUser", "id": self.me["id"]},
                "sg_status_list": "rev",
            },
        )
        return {"version": version["id"], "code": code, "task": task["id"], "who": self.name}

    def approves(self, made):
        self.sg.update("Version", made["version"], {"sg_status_list": "apr"})
        return dict(made, who=self.name)


def animation(sg, shot):
    return sg.find_one(
        "Task",
        [["content", "is", "Animation"], ["entity.Shot.code", "is", shot]],
        ["project", "entity", "task_assignees"],
    )


def artist(sg, task):
    first = task["task_assignees"][0]
    person = sg.find_one("HumanUser", [["id", "is", first["id"]]], ["login"])
    return Person(person["login"])


def order(**what):
    """Tells the simulator what the site does by itself."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(URL + "/sim/control", json.dumps(what).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main():
    ada, ben = Person("ada"), Person("ben")

    task = animation(ada.sg, "CK10_010")
    first = artist(ada.sg, task).submits(task, 2)
    rest()

    tell(say="%s looks at it, and approves it." % ada.name)
    approved = ada.approves(first)
    rest()

    # The site takes the event's id now and shows the event when the transaction commits.
    old = ben.sg.find_one(
        "Version", [["code", "is", "CK20_010_anim_v001"]], ["code", "sg_task"]
    )
    tell(say="%s approves %s; the site is slow to commit it." % (ben.name, old["code"]))
    transaction = order(do="begin")["transaction"]
    ben.sg.config.extra_auth_params = {"sim_transaction": transaction}
    late = ben.approves({"version": old["id"], "code": old["code"], "task": old["sg_task"]["id"]})
    task = animation(ada.sg, "CK30_010")
    second = artist(ada.sg, task).submits(task, 2)
    rest()

    tell(say="The site commits what %s did." % ben.name)
    order(do="commit", transaction=transaction)
    rest()

    tell(cast={"submitted": [first, second], "approved": [approved, late], "late": late["version"]})


main()
