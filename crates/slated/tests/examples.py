"""Calls the example plugins as a daemon does, and looks at the site afterwards.

Called with the folder of the plugins, the address of the simulator, a folder to write to, and the
script users, each as NAME=KEY. Each function is one part; the last line printed tells how many passed.
"""

import http.server
import importlib.util
import json
import logging
import os
import signal
import sys
import threading
import time

from shotgun_api3 import Shotgun

FOLDER, URL, WORK = sys.argv[1:4]
KEYS = dict(pair.split("=", 1) for pair in sys.argv[4:])
FIELDS = ["event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"]


class Plugin(object):
    """A plugin as `registerCallbacks` made it known: it has one callback, or none."""

    callback = None

    def __init__(self, name, dry=None):
        self.logger = logging.getLogger(name)
        if dry is not None:  # the Python daemon has no such thing
            self.isDry = lambda: dry
        path = os.path.join(FOLDER, name + ".py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.registerCallbacks(self)
        self.module = module

    def registerCallback(self, name, key, callback, matchEvents=None, args=None, stopOnError=True):
        self.sg = Shotgun(URL, script_name=name, api_key=key)
        self.callback, self.match, self.args, self.stop = callback, matchEvents, args, stopOnError

    def call(self, event):
        attributes = self.match.get(event["event_type"], [])
        assert attributes is None or event["attribute_name"] in attributes, "it did not ask for this"
        assert event["event_type"] in self.match, "it did not ask for this"
        self.callback(self.sg, self.logger, event, self.args)

    def twice_is_once(self, event):
        """Calls it twice; the second call writes nothing."""
        self.call(event)
        written = head()
        self.call(event)
        assert head() == written, "it wrote again"


class Said(logging.Handler):
    """What plugins log."""

    lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


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


def task(shot, name):
    return ada.find_one("Task", [["entity.Shot.code", "is", shot], ["content", "is", name]], ["entity"])


def set_status(entity, status):
    """Changes the status of an entity; returns the event of it."""
    ada.update(entity["type"], entity["id"], {"sg_status_list": status})
    return last_event(entity, "Shotgun_%s_Change" % entity["type"], "sg_status_list")


def shot_status(shot):
    return ada.find_one("Shot", [["code", "is", shot]], ["sg_status_list"])["sg_status_list"]


def shot_is_finished_with_its_last_task_and_reopened():
    tasks = [task("CK10_030", name) for name in ("Animation", "Lighting", "Comp")]
    for done, status in zip(tasks, ("fin", "apr", "fin")):
        assert shot_status("CK10_030") == "ip"
        shot_follows.twice_is_once(set_status(done, status))
    assert shot_status("CK10_030") == "fin"
    reopened = set_status(tasks[1], "ip")
    # It comes late: what it tells is over.
    set_status(tasks[1], "fin")
    shot_follows.call(reopened)
    assert shot_status("CK10_030") == "fin"
    shot_follows.twice_is_once(set_status(tasks[1], "ip"))
    assert shot_status("CK10_030") == "ip"


def shot_that_is_omitted_stays_so():
    tasks = [task("CK10_040", name) for name in ("Animation", "Lighting", "Comp")]
    set_status(tasks[0]["entity"], "omt")
    events = [set_status(done, "fin") for done in tasks]
    shot_follows.call(events[-1])
    assert shot_status("CK10_040") == "omt"
    shot_follows.call(set_status(ada.find_one("Task", [["entity.Asset.code", "is", "fox"]]), "fin"))


def tasks_are_held_with_their_shot_but_for_finished_ones():
    tasks = [task("CK20_030", name) for name in ("Animation", "Lighting", "Comp")]
    shot = tasks[0]["entity"]
    set_status(tasks[0], "fin")
    held = set_status(shot, "hld")
    tasks_follow.twice_is_once(held)
    assert [status_of(t) for t in tasks] == ["fin", "hld", "hld"]
    # The other way: a Shot on hold is not finished, and this one does not answer that.
    assert shot_status("CK20_030") == "hld"
    set_status(tasks[1], "ip")
    set_status(shot, "ip")
    tasks_follow.call(held)
    assert status_of(tasks[1]) == "ip", "the Shot went on since"


def members():
    return ada.find_one("Project", [], ["users"])["users"]


def assignee_joins_once():
    ada.update("Project", project["id"], {"users": []})
    mira, jonas = (ada.find_one("HumanUser", [["login", "is", n]]) for n in ("mira", "jonas"))
    artists = ada.find_one("Group", [["code", "is", "Artists"]])
    made = ada.create(
        "Task", {"project": project, "content": "Paint", "task_assignees": [mira, jonas, artists]}
    )
    joined = last_event(made, "Shotgun_Task_Change", "task_assignees")
    assert joined["meta"]["in_create"]
    # Taken off again before the event came.
    ada.update("Task", made["id"], {"task_assignees": [mira, artists]})
    assignee.twice_is_once(joined)
    assert [person["id"] for person in members()] == [mira["id"]]
    # Who is there stays, and who leaves a Task leaves no Project.
    ada.update("Task", made["id"], {"task_assignees": [jonas]})
    assignee.twice_is_once(last_event(made, "Shotgun_Task_Change", "task_assignees"))
    assert sorted(p["id"] for p in members()) == sorted([mira["id"], jonas["id"]])


def new_shot(code, sequence="CK30"):
    place = ada.find_one("Sequence", [["code", "is", sequence]])
    made = ada.create("Shot", {"project": project, "code": code, "sg_sequence": place})
    event = [["entity", "is", made], ["event_type", "is", "Shotgun_Shot_New"]]
    return ada.find_one("EventLogEntry", event, FIELDS)


def below(folder):
    found = [os.path.join(at, name) for at, names, _ in os.walk(folder) for name in names]
    return sorted(os.path.relpath(path, folder) for path in found)


def folders_are_made_and_left_alone():
    root = os.environ["FOLDERS_FOR_SHOT_ROOT"]
    made = new_shot("CK30_050")
    try:
        folders.call(made)
        raise AssertionError("it made a root")
    except OSError as error:
        assert "is not there" in str(error), error
    os.mkdir(root)
    Plugin("folders_for_shot", dry=True).call(made)
    assert below(root) == [], "a dry run made folders"
    folders.twice_is_once(made)
    home = os.path.join(root, "copper_kettle", "CK30", "CK30_050")
    assert below(home) == ["publish", "render", "render/comp", "render/light", "work"]
    scene = os.path.join(home, "work", "scene.ma")
    open(scene, "w").close()
    os.rmdir(os.path.join(home, "publish"))
    folders.call(made)
    assert os.path.isdir(os.path.join(home, "publish")) and os.path.exists(scene)


def names_lead_nowhere_else():
    root = os.environ["FOLDERS_FOR_SHOT_ROOT"]
    before = below(WORK)
    for name in ("../../escaped", "/etc", "..", ".hidden", "a\n", "a b"):
        folders.call(new_shot(name))
    folders.call(new_shot("CK_homeless", sequence="none of this name"))
    assert below(WORK) == before, below(WORK)
    assert os.path.isdir(root)


def frames_of(shot, path):
    made = version(shot)
    ada.update("Version", made["id"], {"sg_path_to_frames": path})
    return made, last_event(made, "Shotgun_Version_Change", "sg_path_to_frames")


def movie_path(made):
    found = ada.find_one("Version", [["id", "is", made["id"]]], ["sg_path_to_movie"])
    return found["sg_path_to_movie"]


def command(text):
    """Lets the plugin run a shell script with the frames and the movie."""
    path = os.path.join(WORK, "make_movie.sh")
    with open(path, "w") as file:
        file.write(text)
    movie.module.COMMAND = "sh '%s' {frames} {movie}" % path


def movie_is_made_once():
    frames = os.path.join(WORK, "the frames.%04d.exr")
    made, event = frames_of("CK10_010", frames)
    command('echo "half way"; echo "$1" > "$2"; echo run >> "%s/runs"' % WORK)
    dry = Plugin("movie_of_version", dry=True)
    dry.module.COMMAND = movie.module.COMMAND
    dry.call(event)
    assert not os.path.exists(os.path.join(WORK, "runs")), "a dry run ran it"
    movie.twice_is_once(event)
    target = os.path.join(WORK, "the frames.mov")
    assert movie_path(made) == target
    assert open(target).read() == frames + "\n", "a path with a space is one word"
    assert open(os.path.join(WORK, "runs")).read() == "run\n"
    assert "sh: half way" in Said.lines, Said.lines
    # It ended before the site knew.
    ada.update("Version", made["id"], {"sg_path_to_movie": None})
    movie.call(event)
    assert movie_path(made) == target
    assert open(os.path.join(WORK, "runs")).read() == "run\n"


def a_movie_that_fails_leaves_nothing():
    made, event = frames_of("CK10_020", os.path.join(WORK, "failing.%04d.exr"))
    command('echo half > "$2"; exit 3')
    assert "ended with 3" in failure(event)
    assert movie_path(made) is None
    assert not [name for name in os.listdir(WORK) if name.startswith("failing")]


def a_movie_that_takes_too_long_is_killed_with_its_children():
    made, event = frames_of("CK20_010", os.path.join(WORK, "endless.%04d.exr"))
    pid = os.path.join(WORK, "pid")
    # The child holds the output open; nothing else would end the reading.
    command('echo half > "$2"; sleep 600 & echo $! > "%s"; wait' % pid)
    movie.args["limit"] = 0.5
    assert "was killed after 0.5 seconds" in failure(event)
    gone(pid)
    # An exception out of the blue, as a soft limit raises it.
    movie.args["limit"] = 600

    class Limit(BaseException):
        pass

    def strike(*args):
        # Not while the process is still being made: on a busy machine it runs before that returns.
        if os.path.exists(pid) and time.time() - os.path.getmtime(pid) > 1:
            raise Limit("soft limit")

    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        assert "soft limit" in failure(event)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    gone(pid)
    assert not [name for name in os.listdir(WORK) if name.startswith("endless")]
    assert movie_path(made) is None


def failure(event):
    try:
        movie.call(event)
    except BaseException as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return str(error)
    raise AssertionError("it did not fail")


def gone(path):
    """Waits until the process whose id stands in this file runs no more."""
    with open(path) as file:
        pid = int(file.read())
    os.remove(path)
    until = time.time() + 20
    while time.time() < until:
        try:
            with open("/proc/%d/stat" % pid) as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("process %d still runs" % pid)


def chat_is_told_nothing_without_an_address_or_in_a_dry_run():
    made = version("CK20_020")
    approved = change(made, "rej") and change(made, "apr")
    before = len(Chat.said)
    Plugin("notify_coordinator", dry=True).call(approved)
    assert any(line.startswith("Not told: Ada") for line in Said.lines)
    address = os.environ.pop("COORDINATOR_CHAT_URL")
    unset = Plugin("notify_coordinator")
    os.environ["COORDINATOR_CHAT_URL"] = address
    assert unset.callback is None, "it asks for events it does nothing with"
    assert "COORDINATOR_CHAT_URL is not set, so nobody is told anything." in Said.lines
    assert len(Chat.said) == before
    Plugin("notify_coordinator", dry=False).call(approved)
    assert len(Chat.said) == before + 1


def what_is_gone_is_no_error():
    shot = task("CK30_030", "Comp")["entity"]
    events = {
        shot_follows: set_status(task("CK30_030", "Comp"), "fin"),
        tasks_follow: set_status(shot, "hld"),
        folders: new_shot("CK30_070"),
        movie: frames_of("CK30_020", os.path.join(WORK, "gone.%04d.exr"))[1],
    }
    assigned = task("CK30_040", "Comp")
    ada.update("Task", assigned["id"], {"task_assignees": [ada.find_one("HumanUser", [])]})
    events[assignee] = last_event(assigned, "Shotgun_Task_Change", "task_assignees")
    for event in events.values():
        ada.delete(event["entity"]["type"], event["entity"]["id"])
    written, files = head(), below(WORK)
    for plugin, event in events.items():
        plugin.call(event)
        plugin.call(dict(event, entity=None, user=None))
    assert head() == written and below(WORK) == files, "something was written"


server = http.server.HTTPServer(("127.0.0.1", 0), Chat)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["COORDINATOR_CHAT_URL"] = "http://127.0.0.1:%d/" % server.server_port
os.environ["no_proxy"] = "*"
os.environ["FOLDERS_FOR_SHOT_ROOT"] = os.path.join(WORK, "projects")
os.environ["MOVIE_OF_VERSION_COMMAND"] = "false"
logging.getLogger().addHandler(Said())
logging.getLogger().setLevel(logging.INFO)
for name in KEYS:
    os.environ["SGDAEMON_%s_NAME" % name.upper()] = name
    os.environ["SGDAEMON_%s_KEY" % name.upper()] = KEYS[name]
ada = Shotgun(URL, login="ada", password="any")
project = ada.find_one("Project", [])
follows, note, notify = map(Plugin, ["task_follows_version", "note_on_approval", "notify_coordinator"])
shot_follows, tasks_follow = map(Plugin, ["shot_follows_tasks", "tasks_follow_shot"])
assignee, folders = map(Plugin, ["assignee_joins_project", "folders_for_shot"])
movie = Plugin("movie_of_version")

PARTS = [
    task_follows_twice_is_once,
    task_is_left_alone_when_the_version_went_on,
    task_does_not_answer_its_own_writes,
    note_twice_is_once,
    note_is_for_approvals_only,
    chat_hears_of_submissions_and_approvals,
    what_is_deleted_since_is_no_error,
    shot_is_finished_with_its_last_task_and_reopened,
    shot_that_is_omitted_stays_so,
    tasks_are_held_with_their_shot_but_for_finished_ones,
    assignee_joins_once,
    folders_are_made_and_left_alone,
    names_lead_nowhere_else,
    movie_is_made_once,
    a_movie_that_fails_leaves_nothing,
    a_movie_that_takes_too_long_is_killed_with_its_children,
    chat_is_told_nothing_without_an_address_or_in_a_dry_run,
    what_is_gone_is_no_error,
]
left = set(name[:-3] for name in os.listdir(FOLDER) if name.endswith(".py")) ^ set(KEYS)
assert not left, "each example is tried, and has a script user: %s" % left
for part in PARTS:
    print(part.__name__, flush=True)
    part()
print("%d parts passed" % len(PARTS))
