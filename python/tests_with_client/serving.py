"""A server on loopback that answers as a handler says, for the time of a `with`."""

import http.server
import threading


class Serving(object):
    def __init__(self, handler):
        self._server = http.server.HTTPServer(("127.0.0.1", 0), handler)
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
