"""What is logged is told once, by whatever logger."""

import logging
import unittest

import support  # noqa: F401
from slated_worker import logs


class Channel(object):
    def __init__(self):
        self.told = []

    def send(self, message):
        self.told.append((message["logger"], message["level"], message["message"]))


class Logging(unittest.TestCase):
    def setUp(self):
        self.root = logging.getLogger()
        self.before = self.root.handlers[:], self.root.level
        self.root.handlers[:] = []
        self.root.setLevel(logging.WARNING)
        self.channel = Channel()
        self.handler = logs.FrameHandler(self.channel)
        self.plugin = logs.plugin_logger("p", logging.INFO, self.handler)

    def tearDown(self):
        self.root.handlers[:], level = self.before
        self.root.setLevel(level)
        self.plugin.handlers[:] = []

    def test_the_plugins_own_loggers_are_heard_once(self):
        self.plugin.info("loads")
        logging.getLogger("plugin.p.callback").warning("runs")
        logging.getLogger("plugin.p").debug("not asked for")
        told = [("plugin.p", 20, "loads"), ("plugin.p.callback", 30, "runs")]
        self.assertEqual(self.channel.told, told)

    def test_helper_modules_are_heard_from_the_level_that_they_have(self):
        studio = logging.getLogger("studio.test_logs")
        studio.info("below the root logger's level")
        studio.setLevel(logging.INFO)
        studio.info("asked for")
        logging.warning("by the root logger")
        logging.getLogger("plugin.pp").error("of another name")
        told = [
            ("studio.test_logs", 20, "asked for"),
            ("root", 30, "by the root logger"),
            ("plugin.pp", 40, "of another name"),
        ]
        self.assertEqual(self.channel.told, told)

    def test_a_basic_config_changes_nothing_as_under_the_python_daemon(self):
        logging.basicConfig(level=logging.DEBUG)
        self.assertEqual(len(self.root.handlers), 1)
        self.plugin.info("once")
        self.assertEqual(self.channel.told, [("plugin.p", 20, "once")])

    def test_a_plugin_that_takes_its_loggers_handlers_away_is_heard_still(self):
        self.plugin.handlers[:] = []
        self.plugin.info("once")
        self.assertEqual(self.channel.told, [("plugin.p", 20, "once")])


if __name__ == "__main__":
    unittest.main()
