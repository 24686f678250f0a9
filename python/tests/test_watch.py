"""Soft limits strike their own call, in whatever it is stuck."""

import os
import subprocess
import threading
import time
import unittest

import support  # noqa: F401
from slated_worker.watch import PluginTimeout, Watch


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Neither end is ever closed: a hang-up would end this process.
        cls.pipe = os.pipe()
        cls.watch = Watch(cls.pipe[0], 1.0)
        cls.watch.start()

    def run_limited(self, function, timeout_ms=50):
        try:
            try:
                self.watch.begin(timeout_ms)
                function()
            finally:
                self.watch.end()
        except PluginTimeout:
            return True
        return False

    def test_it_interrupts_whatever_waits(self):
        lock = threading.Lock()
        lock.acquire()

        def swallow():
            while True:
                try:
                    time.sleep(60)
                except Exception:
                    pass

        def spin():
            while True:
                pass

        for stuck in (
            spin,
            swallow,
            lambda: time.sleep(60),
            lock.acquire,
            lambda: subprocess.call(["sleep", "1"]),
            lambda: os.read(os.pipe()[0], 1),
        ):
            begun = time.monotonic()
            self.assertTrue(self.run_limited(stuck))
            self.assertLess(time.monotonic() - begun, 5)

    def test_a_later_call_is_never_struck(self):
        struck = 0
        for round in range(100):
            struck += self.run_limited(lambda: time.sleep(0.0048 + round * 0.000005), 5)
            for _ in range(20):
                self.assertFalse(self.run_limited(lambda: None, None))
        self.assertGreater(struck, 0)

    def test_a_shorter_limit_after_a_longer_one_is_kept(self):
        self.assertFalse(self.run_limited(lambda: None, 60000))
        self.assertTrue(self.run_limited(lambda: time.sleep(60), 30))

    def test_the_shield_holds_and_the_limit_strikes_behind_it(self):
        seen = []

        def shielded():
            with self.watch:
                until = time.monotonic() + 0.2
                while time.monotonic() < until:
                    pass
                seen.append("whole")
            seen.append("not reached")

        self.assertTrue(self.run_limited(shielded))
        self.assertEqual(seen, ["whole"])

    def test_no_limit_costs_nothing_and_strikes_nothing(self):
        self.assertFalse(self.run_limited(lambda: time.sleep(0.1), None))


if __name__ == "__main__":
    unittest.main()
