"""What a plugin imported is known, with the content that runs; installed packages are not told."""

import hashlib
import importlib
import os
import sys
import tempfile
import unittest

import support  # noqa: F401
from slated_worker import imports


def sha256(text):
    return hashlib.sha256(text).hexdigest()


class Importing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = os.path.realpath(self.folder.name)
        self.plugin = self.write("plugin.py", b"")
        for kept in (sys.path, sys.path_hooks, sys.meta_path, imports._folders):
            self.addCleanup(kept.__setitem__, slice(None), list(kept))
        self.addCleanup(setattr, sys, "dont_write_bytecode", sys.dont_write_bytecode)
        sys.dont_write_bytecode = False
        modules = set(sys.modules)
        self.addCleanup(lambda: [sys.modules.pop(m) for m in set(sys.modules) - modules])
        self.addCleanup(imports._read.clear)
        sys.path.insert(0, os.path.join(self.root, "lib"))
        os.mkdir(os.path.join(self.root, "lib"))
        imports.follow([os.path.join(self.root, "lib")])
        self.imported = imports.Imports(self.plugin)

    def write(self, name, text, age=0.0):
        path = os.path.join(self.root, *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(text)
        if age:
            at = os.stat(path).st_mtime - age
            os.utime(path, (at, at))
        return path

    def found(self, error=None):
        files, too_many = self.imported.look(error)
        self.assertFalse(too_many)
        return {os.path.relpath(f["path"], self.root): f["sha256"] for f in files}

    def test_modules_and_packages_are_told_with_their_content(self):
        self.write("lib/sl_a.py", b"import sl_pkg.inner\nimport json\n")
        self.write("lib/sl_pkg/__init__.py", b"")
        self.write("lib/sl_pkg/inner.py", b"x = 1\n")
        self.write("lib/sl_unused.py", b"")
        importlib.import_module("sl_a")
        self.assertEqual(
            self.found(),
            {
                "lib/sl_a.py": sha256(b"import sl_pkg.inner\nimport json\n"),
                "lib/sl_pkg/__init__.py": sha256(b""),
                "lib/sl_pkg/inner.py": sha256(b"x = 1\n"),
            },
        )

    def test_what_stands_beside_plugins_is_found_last_of_all(self):
        self.write("sl_beside.py", b"x = 1\n")
        self.write("others/sl_other.py", b"x = 2\n")
        self.write("others/sl_beside.py", b"x = 3\n")
        self.write("others/sl_pack/__init__.py", b"from sl_pack import part\n")
        self.write("others/sl_pack/part.py", b"")
        self.write("others/sl_in_both.py", b"")
        self.write("lib/sl_in_both.py", b"")
        os.mkdir(os.path.join(self.root, "sl_folder"))
        folders = [os.path.join(self.root, "others"), self.root]
        imports.follow(folders)
        imports.look_beside(self.plugin, folders)
        path = list(sys.path)
        self.assertEqual(importlib.import_module("sl_beside").x, 1)
        self.assertEqual(importlib.import_module("sl_other").x, 2)
        importlib.import_module("sl_pack")
        importlib.import_module("sl_in_both")
        told = ["lib/sl_in_both.py", "others/sl_other.py"]
        told += ["others/sl_pack/__init__.py", "others/sl_pack/part.py", "sl_beside.py"]
        self.assertEqual(sorted(self.found()), told)
        self.assertEqual(sys.path, path)
        # A mere folder is none, and what is missing is told with the places it may appear in.
        for name in ("sl_folder", "sl_missing"):
            with self.assertRaises(ModuleNotFoundError) as caught:
                importlib.import_module(name)
        self.assertIn("others/sl_missing.py", self.found(caught.exception))

    def test_what_is_installed_is_nobodys_helper(self):
        self.write("lib/site-packages/sl_installed.py", b"")
        sys.path.insert(0, os.path.join(self.root, "lib", "site-packages"))
        importlib.import_module("sl_installed")
        self.assertEqual(self.found(), {})
        self.assertFalse(imports.is_watched(os.path.abspath(os.__file__)))
        self.assertFalse(imports.is_watched(os.path.join(self.root, "library")))

    def test_the_content_is_what_was_imported_whatever_stands_there_now(self):
        path = self.write("lib/sl_edited.py", b"x = 1\n")
        importlib.import_module("sl_edited")
        with open(path, "wb") as file:
            file.write(b"x = 2\n")
        self.assertEqual(self.found(), {"lib/sl_edited.py": sha256(b"x = 1\n")})

    def test_bytecode_of_a_text_before_is_not_taken_for_the_text(self):
        # Within one second, and of the same size: Python's own loader sees no difference.
        for age in (0, 100):
            name = "sl_quick_%d" % age
            path = self.write("lib/%s.py" % name, b"x = 1\n", age)
            self.assertEqual(importlib.import_module(name).x, 1)
            stat = os.stat(path)
            cached = importlib.util.cache_from_source(path)
            if age:
                # Compiled within the second of the first text.
                os.utime(cached, (stat.st_mtime + 0.3,) * 2)
            with open(path, "wb") as file:
                file.write(b"x = 2\n")
            os.utime(path, (stat.st_mtime, stat.st_mtime))
            del sys.modules[name]
            self.assertEqual(importlib.import_module(name).x, 2, name)
            self.assertEqual(self.found()["lib/%s.py" % name], sha256(b"x = 2\n"))

    def test_bytecode_is_used_where_it_can_be_trusted(self):
        path = self.write("lib/sl_old.py", b"x = 1\n", age=100)
        importlib.import_module("sl_old")
        cached = importlib.util.cache_from_source(path)
        self.assertTrue(os.path.exists(cached))
        # Another text that its bytecode does not show: so it was used.
        stat = os.stat(path)
        with open(path, "wb") as file:
            file.write(b"x = 2\n")
        os.utime(path, (stat.st_mtime, stat.st_mtime))
        del sys.modules["sl_old"]
        self.assertEqual(importlib.import_module("sl_old").x, 1)

    def test_what_does_not_compile_is_told_too(self):
        self.write("lib/sl_broken.py", b"def f(:\n")
        with self.assertRaises(SyntaxError):
            importlib.import_module("sl_broken")
        self.assertEqual(self.found(), {"lib/sl_broken.py": sha256(b"def f(:\n")})

    def test_what_is_missing_is_told_as_missing(self):
        self.write("lib/sl_some/__init__.py", b"")
        for name, missed in (("sl_none.x", "lib/sl_none"), ("sl_some.none", "lib/sl_some/none")):
            try:
                importlib.import_module(name)
            except ImportError as error:
                self.assertNotIn(missed + ".py", self.found())
                wrapped = RuntimeError("load failed")
                wrapped.__cause__ = error
                found = self.found(wrapped)
            self.assertEqual(found[missed + ".py"], "")
            self.assertEqual(found[missed + "/__init__.py"], "")

    def test_news_are_told_once(self):
        self.assertEqual(self.found(), {})
        self.assertIsNone(self.imported.news())
        self.write("lib/sl_late.py", b"")
        importlib.import_module("sl_late")
        self.assertEqual(len(self.imported.news()), 1)
        self.assertIsNone(self.imported.news())
        # A module of no interest is none.
        sys.modules["sl_odd"] = object()
        self.assertIsNone(self.imported.news())

    def test_a_plugin_is_no_helper_of_its_own(self):
        imports.follow([self.root])
        sys.path.insert(0, self.root)
        importlib.import_module("plugin")
        self.assertEqual(self.found(), {})

    def test_there_is_an_end_to_it(self):
        for n in range(5):
            self.write("lib/sl_many_%d.py" % n, b"")
            importlib.import_module("sl_many_%d" % n)
        most, imports.MOST = imports.MOST, 3
        self.addCleanup(setattr, imports, "MOST", most)
        files, too_many = self.imported.look()
        self.assertEqual((len(files), too_many), (3, True))


if __name__ == "__main__":
    unittest.main()
