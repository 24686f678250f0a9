"""Whether the network stood behind an exception. The client's part is in tests_with_client."""

import concurrent.futures
import errno
import http.client
import json
import socket
import ssl
import subprocess
import unittest
import urllib.error

import support  # noqa: F401
from slated_worker.cause import TRANSIENT, classify


class Response(object):
    def __init__(self, status):
        self.status_code = status


class RequestsError(OSError):
    def __init__(self, response=None):
        OSError.__init__(self, "an error of requests")
        self.response = response


def of_requests(name):
    return type(name, (RequestsError,), {"__module__": "requests.exceptions"})


def raised(error, cause=None):
    try:
        raise error from cause
    except type(error) as caught:
        return classify(caught, "https://studio.example")


class Causes(unittest.TestCase):
    def test_network_failures_are_transient(self):
        for error in (
            ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
            ConnectionResetError(errno.ECONNRESET, "reset"),
            socket.timeout("timed out"),
            socket.gaierror(-2, "Name or service not known"),
            ssl.SSLError("handshake"),
            OSError(errno.EHOSTUNREACH, "No route to host"),
            http.client.RemoteDisconnected("closed"),
            http.client.IncompleteRead(b""),
            urllib.error.URLError(ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
            urllib.error.URLError(socket.gaierror(-2, "unknown")),
            urllib.error.HTTPError("http://x", 503, "busy", {}, None),
            of_requests("ConnectionError")(),
            of_requests("Timeout")(),
            of_requests("HTTPError")(Response(502)),
        ):
            self.assertEqual(raised(error), TRANSIENT, repr(error))

    def test_a_plugins_own_mistakes_are_not(self):
        for error in (
            ValueError("x"),
            KeyError("x"),
            FileNotFoundError(errno.ENOENT, "no such file"),
            PermissionError(errno.EACCES, "denied"),
            OSError(errno.ENOSPC, "disk full"),
            BrokenPipeError(errno.EPIPE, "a child's pipe"),
            subprocess.TimeoutExpired("x", 1),
            concurrent.futures.TimeoutError(),
            json.JSONDecodeError("x", "y", 0),
            urllib.error.HTTPError("http://x", 404, "not found", {}, None),
            of_requests("HTTPError")(Response(403)),
            of_requests("InvalidURL")(),
            SystemExit(1),
        ):
            self.assertIsNone(raised(error), repr(error))

    def test_an_explicit_cause_counts_and_a_context_does_not(self):
        refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        self.assertEqual(raised(RuntimeError("wrapped"), refused), TRANSIENT)
        try:
            try:
                raise refused
            except OSError:
                {}["a bug in the handler"]
        except KeyError as error:
            self.assertIsNone(classify(error, ""))

    def test_a_circle_of_causes_ends(self):
        error = ValueError()
        error.__cause__ = error
        self.assertIsNone(classify(error, ""))

    def test_attributes_that_raise_do_no_harm(self):
        class Nasty(Exception):
            @property
            def response(self):
                raise RuntimeError("no")

        self.assertIsNone(raised(Nasty()))


if __name__ == "__main__":
    unittest.main()
