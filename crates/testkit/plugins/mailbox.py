"""A real mail server on this machine, for tests: takes mail and writes each as a line of JSON.

Prints its port when it listens. Arguments: FILE, then what it is told to do:
tls=PEM offers STARTTLS and takes nothing without it; login=NAME:PASSWORD wants one;
port=N listens there; refuse=ADDRESS takes no mail for it.
"""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

PATH = sys.argv[1]
WISHES = dict(word.split("=", 1) for word in sys.argv[2:])

# What it thinks of itself is of no interest here.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == WISHES.get("refuse"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        login = session.auth_data
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "body": message.get_content().replace("\r\n", "\n"),
            "tls": session.ssl is not None,
            "login": login.login.decode() if login else None,
        }
        with open(PATH, "a") as out:
            out.write(json.dumps(line) + "\n")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = "%s:%s" % (data.login.decode(), data.password.decode()) == WISHES["login"]
    return AuthResult(success=good, auth_data=data)


def connection():
    wishes = {}
    if "tls" in WISHES:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(WISHES["tls"])
        wishes.update(tls_context=context, require_starttls=True)
    if "login" in WISHES:
        wishes.update(
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls="tls" in WISHES,
        )
    return SMTP(Handler(), enable_SMTPUTF8=True, hostname="test", **wishes)


async def main():
    loop = asyncio.get_running_loop()
    port = int(WISHES.get("port", 0))
    server = await loop.create_server(connection, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
