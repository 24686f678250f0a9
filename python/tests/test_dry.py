"""A client that refuses and records: what stands in, what is let through, which copies are sealed."""

import os
import sys
import tempfile
import types
import unittest
import zipfile

import support  # noqa: F401
from slated_worker import dry


class Channel(object):
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


def client_class():
    class Shotgun(object):
        """Some methods as the real client has them, and one that nobody knows."""

        def __init__(self):
            self.called = []
            self.carried = []

        def _auth_params(self):
            return {}

        def _call_rpc(self, method, params, include_auth_params=True, first=False):
            self.called.append(method)
            self._make_call("POST", "/api3/json", method, {})
            return "answer to " + method

        def _make_call(self, verb, path, body, headers):
            self.carried.append((verb, body))

        def _send_form(self, url, params):
            self.called.append(url)

        def find(self, entity_type, filters, fields=None):
            return self._call_rpc("read", filters)

        def create(self, entity_type, data, return_fields=None):
            return self._call_rpc("create", data)

        def update(self, entity_type, entity_id, data, multi_entity_update_modes=None):
            return self._call_rpc("update", data)

        def delete(self, entity_type, entity_id):
            return self._call_rpc("delete", entity_id)

        def batch(self, requests):
            return self._call_rpc("batch", requests)

        def upload(self, entity_type, entity_id, path, field_name=None):
            return self._send_form("/upload", {})

        def brew(self, what):
            return self._call_rpc("brew", what)

    return Shotgun


class Dry(unittest.TestCase):
    def setUp(self):
        self.channel = Channel()
        self.running = None
        self.ledger = dry.Ledger(self.channel, lambda: self.running)
        cls = client_class()
        dry.seal_class(cls, self.ledger)
        self.sg = cls()

    def writes(self):
        return [
            (m["method"], m.get("entity"), m.get("id"), m["data"]) for m in self.channel.sent
        ]

    def test_what_reads_goes_through(self):
        self.assertEqual(self.sg.find("Shot", []), "answer to read")
        self.assertEqual((self.sg.called, self.channel.sent), (["read"], []))

    def test_what_writes_is_told_and_something_stands_in_for_its_answer(self):
        made = self.sg.create("Note", {"subject": "x"}, return_fields=["subject", "code"])
        self.assertEqual(made, {"type": "Note", "id": -1, "subject": "x", "code": None})
        changed = self.sg.update("Task", 7, {"sg_status_list": "fin"})
        self.assertEqual(changed, {"type": "Task", "id": 7, "sg_status_list": "fin"})
        self.assertIs(self.sg.delete("Task", 7), True)
        self.assertEqual(self.sg.upload("Version", 9, "/tmp/x.mov"), -2)
        answers = self.sg.batch(
            [
                {"request_type": "create", "entity_type": "Note", "data": {"subject": "y"}},
                {"request_type": "update", "entity_type": "Task", "entity_id": 8, "data": {"a": 1}},
                {"request_type": "delete", "entity_type": "Task", "entity_id": 8},
            ]
        )
        self.assertEqual(
            answers,
            [
                {"type": "Note", "id": -3, "subject": "y"},
                {"type": "Task", "id": 8, "a": 1},
                True,
            ],
        )
        self.assertEqual(
            self.writes(),
            [
                ("create", "Note", None, '{"subject": "x"}'),
                ("update", "Task", 7, '{"sg_status_list": "fin"}'),
                ("delete", "Task", 7, "{}"),
                ("upload", "Version", 9, '{"path": "/tmp/x.mov"}'),
                ("create", "Note", None, '{"subject": "y"}'),
                ("update", "Task", 8, '{"a": 1}'),
                ("delete", "Task", 8, '{"data": {}, "request_type": "delete"}'),
            ],
        )
        self.assertEqual(self.sg.called, [], "nothing reached the site")

    def test_what_nobody_knows_is_refused(self):
        for call in (
            lambda: self.sg.brew("coffee"),
            lambda: self.sg._call_rpc("brew", {"what": "tea"}),
            lambda: self.sg._send_form("/upload", {}),
            lambda: self.sg._make_call("POST", "/api3/json", "a body", {}),
            lambda: self.sg.batch([{"request_type": "revive", "entity_type": "Shot"}]),
        ):
            with self.assertRaisesRegex(dry.DryRun, "dry run"):
                call()
        self.assertEqual((self.sg.called, self.sg.carried), ([], []))
        self.assertEqual(len(self.channel.sent), 5)

    def test_what_reads_is_carried_and_nothing_after_it(self):
        self.assertEqual(self.sg.find("Shot", []), "answer to read")
        self.sg._make_call("GET", "/thumbnail", None, {})
        self.assertEqual(self.sg.carried, [("POST", "read"), ("GET", None)])
        with self.assertRaises(dry.DryRun):
            self.sg._make_call("POST", "/api3/json", "a body", {})
        self.assertEqual(len(self.sg.carried), 2)

    def test_wrong_arguments_and_missing_credentials_fail_as_they_would(self):
        with self.assertRaises(TypeError):
            self.sg.create("Note")
        self.sg._auth_params = lambda: (_ for _ in ()).throw(ValueError("invalid auth params"))
        with self.assertRaises(ValueError):
            self.sg.create("Note", {})
        self.assertEqual(self.channel.sent, [])

    def test_a_subclass_and_its_own_calls_are_no_way_around(self):
        class Mine(type(self.sg)):
            def create(self, entity_type, data, return_fields=None):
                return super(Mine, self).create(entity_type, dict(data, mine=True))

            def sneak(self):
                return self._call_rpc("update", {})

        self.assertEqual(Mine().create("Note", {})["mine"], True)
        with self.assertRaises(dry.DryRun):
            Mine().sneak()

    def test_the_call_in_hand_is_named(self):
        self.running = ({"seq": 5}, types.SimpleNamespace(n=2))
        self.sg.delete("Task", 7)
        self.assertEqual((self.channel.sent[0]["seq"], self.channel.sent[0]["n"]), (5, 2))

    def test_what_is_no_json_or_long_is_told_in_part(self):
        loop = []
        loop.append(loop)
        for data in (loop, {"x": object()}, {"x": "y" * 100000}, {b"k": 1}):
            text = dry.as_text(data)
            self.assertTrue(0 < len(text) < dry.DATA_LIMIT + 100, text[:100])


COPY = """
class Shotgun(object):
    def _call_rpc(self, method, params):
        raise AssertionError("reached the site")
    def create(self, entity_type, data, return_fields=None):
        return self._call_rpc("create", data)
"""


class Copies(unittest.TestCase):
    def setUp(self):
        self.channel = Channel()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.before = list(sys.path), list(sys.meta_path), dict(sys.modules)
        self.addCleanup(self.restore)
        sys.path.insert(0, self.folder.name)

    def restore(self):
        sys.path[:], sys.meta_path[:] = self.before[0], self.before[1]
        for name in set(sys.modules) - set(self.before[2]):
            del sys.modules[name]
        sys.modules.update(self.before[2])

    def check(self, module):
        made = module.Shotgun().create("Note", {"a": 1})
        self.assertEqual((made["id"] < 0, made["a"]), (True, 1))
        self.assertIsNot(type(module.__loader__).__module__, dry.__name__)

    def test_copies_that_come_later_are_sealed_too(self):
        dry.seal(types.ModuleType("shotgun_api3"), dry.Ledger(self.channel, lambda: None))
        for package in ("dry_vendor", os.path.join("dry_vendor", "shotgun_api3")):
            os.mkdir(os.path.join(self.folder.name, package))
            name = os.path.join(self.folder.name, package, "__init__.py")
            with open(name, "w") as file:
                file.write("" if package == "dry_vendor" else "from .shotgun import Shotgun\n")
        with open(os.path.join(self.folder.name, package, "shotgun.py"), "w") as file:
            file.write(COPY)
        from dry_vendor import shotgun_api3  # from a toolkit's folder
        from dry_vendor.shotgun_api3 import shotgun

        self.check(shotgun_api3)
        self.check(shotgun)
        self.assertEqual(len(self.channel.sent), 2)

    def test_a_copy_in_an_archive_and_one_in_place_of_the_first(self):
        sys.modules["shotgun_api3"] = types.ModuleType("shotgun_api3")
        dry.seal(sys.modules["shotgun_api3"], dry.Ledger(self.channel, lambda: None))
        archive = os.path.join(self.folder.name, "packages.zip")
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("shotgun_api3/__init__.py", COPY)
        sys.path.insert(0, archive)
        del sys.modules["shotgun_api3"]
        import shotgun_api3

        self.assertIn("packages.zip", shotgun_api3.__file__)
        self.check(shotgun_api3)

    def test_other_modules_are_left_alone(self):
        dry.seal(types.ModuleType("shotgun_api3"), dry.Ledger(self.channel, lambda: None))
        with open(os.path.join(self.folder.name, "dry_other.py"), "w") as file:
            file.write(COPY)
        import dry_other

        with self.assertRaises(AssertionError):
            dry_other.Shotgun().create("Note", {})


if __name__ == "__main__":
    unittest.main()
