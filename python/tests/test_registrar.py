"""`reg` as plugins know it."""

import functools
import logging
import unittest

import support
from slated_worker import clients, registrar, texts


def function(sg, logger, event, args):
    pass


class Callable(object):
    def __call__(self, sg, logger, event, args):
        pass

    def method(self, sg, logger, event, args):
        pass


class Registering(unittest.TestCase):
    def setUp(self):
        opener = clients.Clients(support.client_module(), {"url": "https://s"})
        self.plugin = registrar.Plugin(logging.getLogger("plugin.p"), opener)
        self.reg = registrar.Registrar(self.plugin)

    def test_by_position_and_by_keyword(self):
        shared = {}
        self.reg.registerCallback("s", "k", function, {"T": None}, shared, False)
        self.reg.registerCallback(
            sgScriptName="s", sgScriptKey="k", callback=function, args=shared, stopOnError=1
        )
        self.reg.registerCallback("s", "k", function)
        first, second, third = self.plugin.callbacks
        self.assertIs(first.args, shared)
        self.assertIs(second.args, shared)
        self.assertIsNone(third.args)
        self.assertEqual([c.stop_on_error for c in self.plugin.callbacks], [False, True, True])
        self.assertEqual([c.n for c in self.plugin.callbacks], [0, 1, 2])
        self.assertEqual([c.rules for c in self.plugin.callbacks], [{"T": {"any": True}}, {}, {}])
        self.assertIsNot(first.sg, second.sg)

    def test_compat_2_6_names_never_hold_an_address(self):
        for given, name in (
            (function, "function"),
            (lambda *a: None, "<lambda>"),
            (Callable().method, "method"),
            (Callable(), "Callable"),
            (Callable, "Callable"),
            (functools.partial(function), "partial"),
            (len, "len"),
        ):
            self.reg.registerCallback("s", "k", given)
            callback = self.plugin.callbacks[-1]
            self.assertEqual(callback.name, name)
            self.assertEqual(callback.logger.name, "plugin.p." + name)

    def test_what_would_never_run_is_warned_about(self):
        def later(sg, logger, event, args):
            yield

        async def awaited(sg, logger, event, args):
            pass

        for function in (later, awaited, print, lambda *args: None):
            self.reg.registerCallback("s", "k", function)
        told = [warning.split(":")[0] for warning in self.plugin.warnings]
        self.assertEqual(told, ["later", "awaited"])

    def test_what_is_not_callable_is_refused(self):
        with self.assertRaises(TypeError):
            self.reg.registerCallback("s", "k", "function")

    def test_the_level_holds_for_the_callbacks_loggers(self):
        self.reg.registerCallback("s", "k", function)
        self.reg.logger.setLevel(logging.ERROR)
        self.assertEqual(self.plugin.callbacks[0].logger.getEffectiveLevel(), logging.ERROR)
        self.assertIs(self.reg.getLogger(), self.reg.logger)

    def test_compat_2_5_other_attributes_do_not_exist(self):
        self.assertFalse(hasattr(self.reg, "getConfig"))
        with self.assertRaises(AttributeError):
            self.reg.engine

    def test_compat_2_4_emails_as_documented(self):
        for given, wanted in (
            ((True,), True),
            ((False,), False),
            ((), False),
            ((None,), False),
            (("a@b",), ["a@b"]),
            (("a@b", "c@d"), ["a@b", "c@d"]),
            ((["a@b", "c@d"],), ["a@b", "c@d"]),
        ):
            self.reg.setEmails(*given)
            self.assertEqual(self.plugin.emails, wanted, given)
        with self.assertRaises(TypeError):
            self.reg.setEmails(5)

    def test_registering_later_is_an_error_and_not_silently_nothing(self):
        self.plugin.open = False
        with self.assertRaises(RuntimeError):
            self.reg.registerCallback("s", "k", function)

    def test_a_key_is_masked_where_its_registration_is_refused(self):
        key = "a-key-of-a-refused-one"
        with self.assertRaises(TypeError):
            self.reg.registerCallback("s", key, print, "no dict")
        self.assertEqual(texts.masked("with %r" % key), "with '***'")

    def test_args_are_shown_cut_and_without_secrets(self):
        self.reg.registerCallback("s", "a-secret-key", function, args={"key": "a-secret-key"})
        shown = self.plugin.callbacks[0].as_frame()["args_repr"]
        self.assertEqual(shown, "{'key': '***'}")
        self.reg.registerCallback("s", "k", function, args=list(range(10000)))
        self.assertLess(len(self.plugin.callbacks[1].as_frame()["args_repr"]), 500)


class Opening(unittest.TestCase):
    def open(self, script, key, **site):
        site["url"] = "https://s"
        return clients.Clients(support.client_module(), site).open(script, key)

    def test_a_client_is_not_connected_and_has_the_callbacks_own_credentials(self):
        client = self.open("s", "k", lend={"script": "d", "key": "dk"})
        self.assertEqual(client.arguments, ("https://s", "s", "k", {"connect": False}))

    def test_the_daemons_own_is_lent_only_where_it_is_there(self):
        lent = self.open(None, None, lend={"script": "d", "key": "dkey"})
        self.assertEqual(lent.arguments[1:3], ("d", "dkey"))
        client = self.open(None, None)
        with self.assertRaisesRegex(RuntimeError, "lend_key"):
            client._call_rpc("find")

    def test_a_plugin_may_log_its_client_in_by_itself(self):
        client = self.open(None, None)
        client.config.session_token = "t"
        self.assertEqual(client._call_rpc("find"), "answer to find")

    def test_the_client_wants_its_proxy_without_a_scheme(self):
        for given in ("http://u:pw12@h:3128", "u:pw12@h:3128", "http://u:pw12@h:3128/"):
            client = self.open("s", "k", proxy=given)
            self.assertEqual(client.arguments[3]["http_proxy"], "u:pw12@h:3128")
        self.assertNotIn("http_proxy", self.open("s", "k", proxy="").arguments[3])
        self.assertEqual(texts.masked("it is pw12"), "it is ***")


if __name__ == "__main__":
    unittest.main()
