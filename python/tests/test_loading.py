"""Files become modules; what does not load says why."""

import os
import sys
import tempfile
import unittest

import support  # noqa: F401
from slated_worker import clients, loading


class Loading(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, source):
        path = os.path.join(self.folder.name, name + ".py")
        with open(path, "wb") as file:
            file.write(source)
        self.addCleanup(sys.modules.pop, name, None)
        return path

    def load(self, name, source):
        path = self.write(name, source)
        return loading.load(name, path, "https://s")

    def fails(self, source):
        with self.assertRaises(loading.LoadFailed) as caught:
            self.load("p_broken", source)
        self.assertNotIn("p_broken", sys.modules)
        return caught.exception.report

    def test_a_module_is_what_the_python_daemon_made_of_it(self):
        source = b"import sys\nknown = sys.modules[__name__].__name__\nname = __name__\n"
        module, digest, _ = self.load("shotgun_AS_T ", source)
        self.assertEqual((module.name, module.known), ("shotgun_AS_T ",) * 2)
        self.assertTrue(module.__file__.endswith("shotgun_AS_T .py"))
        self.assertIs(sys.modules["shotgun_AS_T "], module)
        self.assertEqual(len(digest), 64)
        self.assertEqual(os.listdir(self.folder.name), ["shotgun_AS_T .py"])

    def test_dataclasses_with_deferred_annotations(self):
        source = (
            b"from __future__ import annotations\nimport dataclasses\n"
            b"@dataclasses.dataclass\nclass D:\n    x: int = 3\n"
        )
        self.assertEqual(self.load("p_data", source)[0].D().x, 3)

    def test_other_encodings(self):
        module = self.load("p_latin", b"# -*- coding: latin-1 -*-\nx = '\xe4'\n")[0]
        self.assertEqual(module.x, "\xe4")

    def test_what_is_no_source_at_all(self):
        self.assertEqual(self.fails(b"x = '\0'")["phase"], "import")
        self.assertEqual(self.fails(b"\xff\xfe")["error"], "SyntaxError")

    def test_what_is_too_deep_for_the_parser(self):
        for source in (b"x = " + b"-" * 300000 + b"1\n", b"x = " + b"(" * 5000):
            report = self.fails(source)
            self.assertEqual(report["phase"], "import")
            self.assertIn(report["error"], ("SyntaxError", "MemoryError", "RecursionError"))
            self.assertTrue(report["message"])

    def test_a_file_that_is_away_for_a_moment_is_worth_another_try(self):
        with self.assertRaises(loading.LoadFailed) as caught:
            loading.load("nothing", "/no/such/file.py", "")
        report = caught.exception.report
        self.assertEqual((report["error"], report["cause"]), ("FileNotFoundError", "transient"))
        # What the plugin's own code does not find is its own mistake.
        self.assertNotIn("cause", self.fails(b"open('/no/such/file')"))

    def test_the_line_is_the_plugins_own(self):
        report = self.fails(b"import json\n\ndef f():\n    json.loads('x')\nf()\n")
        self.assertEqual((report["line"], report["phase"]), (4, "import"))
        self.assertIn("JSONDecodeError", report["error"])

    def test_python_3_mistakes_are_not_called_python_2(self):
        for source in (b"x = (\n", b"def f(:\n", b"print('a'\n", b"  x = 1\n y = 2\n", b"x = = 1\n"):
            self.assertNotIn("Python 2", self.fails(source)["message"])

    def test_old_except_clauses_are_seen_where_they_parse(self):
        source = b"try:\n    pass\nexcept Exception, e:\n    pass\n"
        if sys.version_info >= (3, 14):
            self.assertIn("line 3", self.load("p_old", source)[2][0])
        else:
            self.assertTrue(self.fails(source)["message"].startswith("Python 2 syntax"))


class Client(unittest.TestCase):
    def test_a_python_without_the_client_is_told_how_to_get_it(self):
        hidden = sys.modules.pop("shotgun_api3", None)
        path, sys.path[:] = sys.path[:], []
        try:
            with self.assertRaises(clients.NoClient) as caught:
                clients.load()
        finally:
            sys.path[:] = path
            if hidden:
                sys.modules["shotgun_api3"] = hidden
        wanted = "%s -m pip install shotgun_api3" % sys.executable
        self.assertIn(wanted, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
