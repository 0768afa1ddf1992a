"""A mail server (aiosmtpd) that keeps what it takes: the port on the first line, then a line of JSON for each message.

Its one argument is JSON: `refuse` (addresses that it answers with 550), `busy` (with 450), `data` (an answer to every message),
`certificate` and `key` (files; STARTTLS is offered), `implicit` (TLS from the start), `user` and `password` (must be given).
"""

import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# Clients that hang up are what the tests want.
logging.disable()
warnings.simplefilter("ignore")

asked = json.loads(sys.argv[1])
context = None
if "certificate" in asked:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(asked["certificate"], asked["key"])


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in asked.get("refuse", []):
            return "550 5.1.1 no such mailbox"
        if address in asked.get("busy", []):
            return "450 4.2.1 mailbox busy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if "data" in asked:
            return asked["data"]
        message = envelope.original_content.decode("utf-8", "surrogateescape")
        kept = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "message": message, "tls": session.ssl is not None}
        print(json.dumps(kept), flush=True)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    said = (data.login.decode(), data.password.decode())
    # Not handled: the server itself answers 535 to a wrong one.
    return AuthResult(success=said == (asked["user"], asked["password"]), handled=False)


def server():
    more = {}
    if context and not asked.get("implicit"):
        more["tls_context"] = context
    if "user" in asked:
        more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": "tls_context" in more}
    return SMTP(Keeper(), hostname="mail.example.com", **more)


async def serve():
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context if asked.get("implicit") else None)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


asyncio.run(serve())
