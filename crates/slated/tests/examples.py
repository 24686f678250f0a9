"""Calls the example plugins as a daemon does, and looks at the site afterwards.

Called with the folder of the plugins, the address of the simulator, and the keys of the three
script users. Each function is one part; the last line printed tells how many passed.
"""

import http.server
import importlib.util
import json
import logging
import os
import sys
import threading

from shotgun_api3 import Shotgun

FOLDER, URL = sys.argv[1:3]
NAMES = ["task_follows_version", "note_on_approval", "notify_coordinator"]
KEYS = dict(zip(NAMES, sys.argv[3:]))
FIELDS = ["event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"]


class Plugin(object):
    """A plugin as `registerCallbacks` made it known: it has one callback."""

    def __init__(self, name):
        path = os.path.join(FOLDER, name + ".py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.registerCallbacks(self)
        self.logger = logging.getLogger(name)

    def registerCallback(self, name, key, callback, matchEvents=None, args=None, stopOnError=True):
        self.sg = Shotgun(URL, script_name=name, api_key=key)
        self.callback, self.match, self.args, self.stop = callback, matchEvents, args, stopOnError

    def call(self, event):
        attributes = self.match.get(event["event_type"], [])
        assert attributes is None or event["attribute_name"] in attributes, "it did not ask for this"
        self.callback(self.sg, self.logger, event, self.args)


class Chat(http.server.BaseHTTPRequestHandler):
    said = []

    def do_POST(self):
        self.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def version(shot):
    return ada.find_one("Version", [["entity.Shot.code", "is", shot]], ["code", "sg_task"])


def change(made, status, sg=None):
    """Changes a Version; returns the event of it."""
    (sg or ada).update("Version", made["id"], {"sg_status_list": status})
    return last_event(made, "Shotgun_Version_Change", "sg_status_list")


def last_event(entity, kind, attribute):
    filters = [["entity", "is", entity], ["event_type", "is", kind], ["attribute_name", "is", attribute]]
    newest = [{"field_name": "id", "direction": "desc"}]
    return ada.find_one("EventLogEntry", filters, FIELDS, order=newest)


def status_of(task):
    return ada.find_one("Task", [["id", "is", task["id"]]], ["sg_status_list"])["sg_status_list"]


def head():
    return ada.find_one("EventLogEntry", [], order=[{"field_name": "id", "direction": "desc"}])["id"]


def notes(made):
    return ada.find("Note", [["note_links", "is", made]], ["subject", "content", "note_links", "tasks"])


def task_follows_twice_is_once():
    made = version("CK10_010")
    approved = change(made, "apr")
    follows.call(approved)
    assert status_of(made["sg_task"]) == "apr"
    written = head()
    follows.call(approved)
    assert head() == written, "it wrote again"


def task_is_left_alone_when_the_version_went_on():
    made = version("CK10_020")
    approved = change(made, "apr")
    rejected = change(made, "rej")
    before = status_of(made["sg_task"])
    follows.call(approved)
    assert status_of(made["sg_task"]) == before
    follows.call(rejected)
    assert status_of(made["sg_task"]) == "ip"


def task_does_not_answer_its_own_writes():
    made = version("CK20_010")
    own = change(made, "apr", follows.sg)
    assert own["user"]["name"] == "task_follows_version"
    follows.call(own)
    assert status_of(made["sg_task"]) != "apr"


def note_twice_is_once():
    made = version("CK20_020")
    approved = change(made, "apr")
    note.call(approved)
    note.call(approved)
    (found,) = notes(made)
    assert found["subject"] == made["code"] + " is approved", found
    assert found["content"] == "Approved by Ada Kowalska.", found
    assert [link["type"] for link in found["note_links"]] == ["Version", "Shot"], found
    assert [task["id"] for task in found["tasks"]] == [made["sg_task"]["id"]], found


def note_is_for_approvals_only():
    made = version("CK30_020")
    note.call(change(made, "rej"))
    assert notes(made) == []


def chat_hears_of_submissions_and_approvals():
    made = version("CK30_010")
    notify.call(change(made, "rej"))
    assert Chat.said == []
    approved = change(made, "apr")
    notify.call(approved)
    notify.call(approved)
    first, again = Chat.said
    assert first == again, "the same event has the same key"
    assert first["text"] == "Ada Kowalska approved CK30_010_anim_v001", first
    assert not notify.stop, "a chat that is down must not stop it"


def what_is_deleted_since_is_no_error():
    made = version("CK30_010")
    approved = change(made, "na") and change(made, "apr")
    ada.delete("Version", made["id"])
    written = head()
    for gone in (approved, dict(approved, entity=None, user=None)):
        for plugin in (follows, note, notify):
            plugin.call(gone)
    assert head() == written, "something was written"


server = http.server.HTTPServer(("127.0.0.1", 0), Chat)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["COORDINATOR_CHAT_URL"] = "http://127.0.0.1:%d/" % server.server_port
os.environ["no_proxy"] = "*"
for name in NAMES:
    os.environ["SGDAEMON_%s_NAME" % name.upper()] = name
    os.environ["SGDAEMON_%s_KEY" % name.upper()] = KEYS[name]
ada = Shotgun(URL, login="ada", password="any")
follows, note, notify = map(Plugin, NAMES)

PARTS = [
    task_follows_twice_is_once,
    task_is_left_alone_when_the_version_went_on,
    task_does_not_answer_its_own_writes,
    note_twice_is_once,
    note_is_for_approvals_only,
    chat_hears_of_submissions_and_approvals,
    what_is_deleted_since_is_no_error,
]
for part in PARTS:
    print(part.__name__, flush=True)
    part()
print("%d parts passed" % len(PARTS))
