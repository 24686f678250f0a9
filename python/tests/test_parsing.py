"""What is said of a file that is parsed and not run."""

import os
import tempfile
import unittest

import support  # noqa: F401  (puts the worker on sys.path)

from slated_worker import parsing


def parse(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "plugin.py")
        with open(path, "w") as file:
            file.write(text)
        return parsing.parse(path)


class Parsing(unittest.TestCase):
    def test_a_file_that_registers_is_a_plugin_and_none_is_run(self):
        for text, wanted in (
            ("raise SystemExit\ndef registerCallbacks(reg):\n    pass\n", True),
            ("try:\n    from x import registerCallbacks\nexcept ImportError:\n    pass\n", True),
            ("from x import *\n", True),
            ("if True:\n    registerCallbacks = print\n", True),
            ("registerCallbacks, b = 1, 2\n", True),
            ("try:\n    pass\nexcept OSError:\n    def registerCallbacks(reg): pass\n", True),
            ("class A:\n    def registerCallbacks(self): pass\n", False),
            ("def f():\n    registerCallbacks = 1\n", False),
            ("registerCallbacks()\nx = registerCallbacks\n", False),
            ("", False),
        ):
            found = parse(text)
            self.assertEqual(found["registers"], wanted, text)
            self.assertNotIn("failed", found, text)

    def test_python_2_is_named_with_its_line(self):
        failed = parse("import os\nprint 'x'\n")["failed"]
        self.assertEqual(failed["line"], 2)
        self.assertTrue(failed["message"].startswith("Python 2 syntax"), failed)
        failed = parse("def f(:\n")["failed"]
        self.assertEqual((failed["line"], failed["error"]), (1, "SyntaxError"))
        self.assertFalse(failed["message"].startswith("Python 2"), failed)

    def test_a_file_that_is_not_there_says_so(self):
        failed = parsing.parse("/nowhere/plugin.py")["failed"]
        self.assertEqual(failed["error"], "FileNotFoundError")


if __name__ == "__main__":
    unittest.main()
