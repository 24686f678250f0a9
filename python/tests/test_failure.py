"""What is told about an exception, whatever the plugin's objects do when they are printed."""

import ast
import sys
import unittest

import support  # noqa: F401
from slated_worker import failure, matching, surroundings, texts


class Nasty(object):
    def __repr__(self):
        raise SystemExit("from repr")


class NastyError(Exception):
    def __str__(self):
        raise KeyboardInterrupt()


def caught(function):
    try:
        function()
    except BaseException as error:
        # Leaves out this frame, as the worker's own frames are left out.
        error.__traceback__ = error.__traceback__.tb_next
        return failure.describe(error)


class Describing(unittest.TestCase):
    def test_a_broken_repr_is_named_and_the_rest_is_there(self):
        def plugin():
            nasty = Nasty()
            inside = [Nasty(), 1]
            number = 42
            raise ValueError("no")

        told = caught(plugin)
        self.assertEqual((told["type"], told["message"]), ("ValueError", "no"))
        lines = told["locals"].splitlines()
        self.assertIn("nasty = <repr() of Nasty raised SystemExit>", lines)
        self.assertIn("inside = [<repr() of Nasty raised SystemExit>, 1]", lines)
        self.assertIn("number = 42", lines)
        self.assertIn('raise ValueError("no")', told["traceback"])

    def test_an_error_that_cannot_be_printed(self):
        def plugin():
            raise NastyError()

        told = caught(plugin)
        self.assertTrue(told["type"].endswith("NastyError"), told["type"])
        self.assertIn("raised KeyboardInterrupt", told["message"])
        self.assertTrue(told["traceback"])

    def test_everything_is_cut_to_a_sane_size(self):
        def plugin():
            big = "x" * 10000000
            many = list(range(1000000))
            deep = {}
            inner = deep
            for _ in range(500):
                inner["d"] = {}
                inner = inner["d"]
            raise ValueError(big)

        told = caught(plugin)
        self.assertLess(len(told["message"]), 10000)
        self.assertLess(len(told["traceback"]), 70000)
        self.assertLess(len(told["locals"]), 40000)

    def test_an_endless_recursion(self):
        def plugin():
            plugin()

        told = caught(plugin)
        self.assertEqual(told["type"], "RecursionError")
        self.assertLess(len(told["traceback"]), 70000)

    def test_the_causes_are_in_the_traceback(self):
        def plugin():
            try:
                {}["x"]
            except KeyError as error:
                raise ValueError("because") from error

        self.assertIn("The above exception was the direct cause", caught(plugin)["traceback"])

    def test_a_traceback_ends_in_the_plugin(self):
        def plugin():
            try:
                matching.normalise("no dict")
            except TypeError:
                raise ValueError("again") from surroundings._no_breakpoint()

        trace = caught(plugin)["traceback"]
        self.assertIn('matching.normalise("no dict")', trace)
        self.assertIn("raise ValueError", trace)
        self.assertNotIn("slated_worker", trace)

    def test_secrets_are_masked(self):
        texts.hide("sesame-open")

        def plugin():
            key = "sesame-open"
            raise ValueError("key is " + key)

        self.assertNotIn("sesame-open", repr(caught(plugin)).replace('key = "sesame', ""))
        self.assertEqual(caught(plugin)["message"], "key is ***")

    def test_short_secrets_would_mask_everything_and_are_not_masked(self):
        texts.hide("abc")
        self.assertEqual(texts.masked("abcdef"), "abcdef")


class Cutting(unittest.TestCase):
    def test_the_middle_is_left_out(self):
        cut = texts.cut("a" * 100 + "b" * 100, 40)
        self.assertTrue(cut.startswith("a" * 10 + "\n..."))
        self.assertTrue(cut.endswith("...\n" + "b" * 30))
        self.assertEqual(texts.cut("short", 40), "short")


class Syntax(unittest.TestCase):
    def test_the_package_is_python_3_7(self):
        if sys.version_info < (3, 8):
            return  # then running the tests says so
        import os

        folder = os.path.join(support.PYTHON, "slated_worker")
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name)) as file:
                    ast.parse(file.read(), name, feature_version=(3, 7))


if __name__ == "__main__":
    unittest.main()
