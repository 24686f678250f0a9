"""The preloaded parent, as slated speaks to it."""

import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import support

START = """\
import sys

if __name__ == "__main__":
    from slated_worker.__main__ import main

    sys.exit(main())
"""

CLIENT = """\
import datetime

__version__ = "0.0.fake"


class sg_timezone(object):
    utc = local = datetime.timezone.utc


class Shotgun(object):
    def __init__(self, *args, **kwargs):
        pass
"""

PLUGIN = """\
import os, random


def act(sg, logger, event, args):
    if event["meta"]["do"] == "exit":
        os._exit(9)


def registerCallbacks(reg):
    reg.registerCallback("s", "k", act, args="%s %s" % (os.environ["SLATED_WORKER_ID"], random.random()))
"""


class Worker(object):
    def __init__(self, pid, inward, outward):
        self.pid = pid
        self._in = os.fdopen(inward, "wb", 0)
        self._out = os.fdopen(outward, "rb")

    def say(self, **message):
        self._in.write(json.dumps(message).encode("utf-8") + b"\n")

    def hear(self):
        return json.loads(self._out.readline().decode("utf-8"))

    def hang_up(self):
        self._in.close()
        self._out.close()


class ParentTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.write("__main__.py", START)
        self.write("plugin.py", PLUGIN)
        self.write("lib/shotgun_api3.py", CLIENT)
        package = os.path.join(support.PYTHON, "slated_worker")
        os.symlink(package, os.path.join(self.folder, "slated_worker"))
        self.parent = None

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self):
        """Starts a parent; returns its first word."""
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        env = dict(os.environ, SLATED_WORKER_COOKIE="7d0c1c52-plugin-worker")
        self.parent = subprocess.Popen(
            [sys.executable, self.folder, "--preload"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
        )
        theirs.close()
        self.control = ours
        self.lines = ours.makefile("r", encoding="utf-8")
        self.addCleanup(self.end)
        self.ask({"preload": {"import_paths": [os.path.join(self.folder, "lib")]}})
        return self.said()

    def end(self):
        self.lines.close()
        self.control.close()
        self.said_at_last = self.parent.communicate(timeout=20)[0].decode("utf-8")

    def ask(self, message, fds=()):
        data = json.dumps(message).encode("utf-8") + b"\n"
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.control.sendmsg([data], rights)

    def said(self):
        return json.loads(self.lines.readline())

    def fork(self, number):
        """Forks a worker; returns it, or what was said instead."""
        their_in, inward = os.pipe()
        outward, their_out = os.pipe()
        request = {"fork": number, "cwd": None, "grace_ms": 100}
        self.ask(request, [their_in, their_out, 2])
        os.close(their_in)
        os.close(their_out)
        said = self.said()
        worker = Worker(said.get("forked"), inward, outward)
        self.addCleanup(worker.hang_up)
        return worker if "forked" in said else said

    def load(self, worker):
        """Loads the plugin; returns what it registered."""
        worker.say(
            type="hello",
            protocol={"major": 1, "minor": 0},
            plugin={"name": "plugin", "path": os.path.join(self.folder, "plugin.py")},
            site={"url": "https://s"},
            config={"import_paths": [os.path.join(self.folder, "lib")], "use_session_uuid": False},
            limits={},
        )
        hello = worker.hear()
        self.assertEqual((hello["pid"], hello["shotgun_api3"]), (worker.pid, "0.0.fake"))
        ready = worker.hear()
        self.assertEqual(ready["type"], "ready", ready)
        return ready["callbacks"][0]["args_repr"]

    def test_workers_are_forked_serve_and_are_collected(self):
        self.assertEqual(self.start(), {"ready": self.parent.pid})
        first, second = self.fork(1), self.fork(2)
        registered = [self.load(worker) for worker in (first, second)]
        self.assertTrue(registered[0].startswith("'1 "), registered)
        self.assertTrue(registered[1].startswith("'2 "), registered)
        # The same chance twice would be no chance.
        self.assertNotEqual(registered[0].split()[1], registered[1].split()[1])
        self.assertEqual([os.getpgid(w.pid) for w in (first, second)], [first.pid, second.pid])

        event = {"id": 1, "meta": {"do": "exit"}, "created_at": "2026-11-23T09:15:02Z"}
        first.say(type="event", seq=1, turn=1, callbacks=[0], event=event)
        self.assertEqual(self.said(), {"ended": {"pid": first.pid, "status": 9 << 8}})
        second.say(type="goodbye", reason="stop", grace_ms=1000)
        self.assertEqual(self.said(), {"ended": {"pid": second.pid, "status": 0}})
        third = self.fork(3)
        os.killpg(third.pid, signal.SIGKILL)
        self.assertEqual(self.said(), {"ended": {"pid": third.pid, "status": 9}})

    def test_it_ends_with_slated_and_so_do_its_workers(self):
        self.start()
        worker = self.fork(1)
        self.load(worker)
        # The pipes stay open: this one does not see that anybody is gone.
        self.control.shutdown(socket.SHUT_RDWR)
        self.assertEqual(self.parent.wait(20), 0)
        self.assertEqual(worker._out.readline(), b"")

    def test_what_has_changed_on_disk_is_not_forked(self):
        self.start()
        self.assertNotIsInstance(self.fork(1), dict)
        path = self.write("lib/shotgun_api3.py", CLIENT + "\nmore = True\n")
        self.assertEqual(self.fork(2), {"stale": path})

    def test_what_has_appeared_in_front_is_not_passed_over(self):
        self.start()
        self.write("lib/sitecustomize.py", "")
        self.assertEqual(self.fork(1), {"stale": "sitecustomize"})

    def test_a_client_that_does_not_import_makes_it_unfit(self):
        self.write("lib/shotgun_api3.py", "raise RuntimeError('no')")
        self.assertEqual(self.start(), {"unfit": "shotgun_api3 does not import: no"})

    def test_threads_make_it_unfit(self):
        more = "\nimport threading, time\nt = threading.Thread(target=time.sleep, args=(600,))\n"
        self.write("lib/shotgun_api3.py", CLIENT + more + "t.daemon = True\nt.start()\n")
        self.assertIn("has started threads (1)", self.start()["unfit"])


if not hasattr(socket, "MSG_CMSG_CLOEXEC"):
    del ParentTest  # it is for Linux

if __name__ == "__main__":
    unittest.main()
