"""An https site on localhost that answers every call with one page; prints its port."""

import http.server
import ssl
import sys

PAGE = b'{"results":{"entities":[{"type":"EventLogEntry","id":7,"event_type":"sealed"}]}}'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
# The handshake belongs to the request, or one client that gives up would end the server.
server.socket = context.wrap_socket(
    server.socket, server_side=True, do_handshake_on_connect=False
)
print(server.server_port, flush=True)
server.serve_forever()
