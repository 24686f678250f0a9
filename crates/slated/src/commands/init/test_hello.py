"""The plugin's test: `python3 -m unittest discover tests` in the folder of slated.toml.

The first half calls the function as any other. The second half lets slated load the file and hand it an
event, as under the daemon, but dry and without a site. It needs a Python that can import shotgun_api3,
and `slated` on PATH, or its file in the variable SLATED.
"""

import importlib.util
import json
import os
import subprocess
import unittest

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLUGIN = os.path.join(FOLDER, "plugins", "hello.py")

# As the site sends it.
EVENT = {
    "type": "EventLogEntry",
    "id": 5001,
    "event_type": "Shotgun_Version_New",
    "attribute_name": None,
    "meta": {"type": "new_entity", "entity_type": "Version", "entity_id": 7},
    "entity": {"type": "Version", "id": 7, "name": "CK10_010_anim_v001"},
    "project": {"type": "Project", "id": 65, "name": "Clockwork"},
    "user": {"type": "HumanUser", "id": 24, "name": "Mira Okafor"},
    "session_uuid": None,
    "created_at": "2026-05-04T10:00:00Z",
}


def load():
    """Loads the plugin as a module."""
    spec = importlib.util.spec_from_file_location("hello", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def under_slated(event):
    """Hands an event to the plugin with `slated try`; returns what that prints, line by line."""
    program = os.environ.get("SLATED", "slated")
    command = [program, "try", PLUGIN, "--offline", "--json", "--event", "-"]
    done = subprocess.run(
        command,
        input=json.dumps(event).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=FOLDER,
    )
    if done.returncode != 0:
        raise AssertionError((done.stdout + done.stderr).decode())
    return [json.loads(line) for line in done.stdout.splitlines()]


class Logger:
    """Keeps what is logged."""

    def __init__(self):
        self.lines = []

    def info(self, message, *values):
        self.lines.append(message % values)


class NewVersion(unittest.TestCase):
    def test_it_says_hello(self):
        logger = Logger()
        load().new_version(None, logger, EVENT, None)
        self.assertEqual(logger.lines, ["Hello Mira Okafor, thank you for CK10_010_anim_v001."])

    def test_an_entity_may_be_gone(self):
        logger = Logger()
        load().new_version(None, logger, dict(EVENT, entity=None, user=None), None)
        self.assertEqual(logger.lines, ["Hello you, thank you for it."])


class UnderSlated(unittest.TestCase):
    def test_it_is_called_for_a_new_version(self):
        lines = under_slated(EVENT)
        called = [line["called"] for line in lines if line["kind"] == "callback"]
        self.assertEqual(called, [True])
        self.assertIn("Hello Mira Okafor", json.dumps(lines))

    def test_it_is_not_called_for_a_new_note(self):
        lines = under_slated(dict(EVENT, event_type="Shotgun_Note_New"))
        called = [line["called"] for line in lines if line["kind"] == "callback"]
        self.assertEqual(called, [False])


if __name__ == "__main__":
    unittest.main()
