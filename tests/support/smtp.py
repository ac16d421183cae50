"""A mail server for the tests: what it takes, it writes to a folder as JSON, one file a message.

In: --folder, and how to serve. Out: its port on the first line of standard output. Ends when its standard input does, so that
it cannot outlive the test.
"""
import argparse
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=["plain", "starttls", "tls"], default="plain")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--refuse", help="this recipient gets 550")
    parser.add_argument("--put-off", type=int, default=0, help="so many recipients get 450 first")
    return parser.parse_args()


class Writer:
    def __init__(self, given):
        # One that was there before on this folder has left files.
        self.given, self.count, self.put_off = given, len(os.listdir(given.folder)), given.put_off

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == self.given.refuse:
            return "550 5.1.1 there is nobody of that name"
        if self.put_off > 0:
            self.put_off -= 1
            return "450 4.2.0 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        leaves = [part for part in message.walk() if not part.is_multipart()]
        self.count += 1
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "structure": [part.get_content_type() for part in message.walk()],
            "parts": [
                {
                    "type": part.get_content_type(),
                    "disposition": part.get_content_disposition(),
                    "filename": part.get_filename(),
                    "text": part.get_content(),
                }
                for part in leaves
            ],
        }
        path = os.path.join(self.given.folder, "%04d.json" % self.count)
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(told, file)
        os.rename(path + ".part", path)
        return "250 OK"


async def serve(given):
    context = None
    if given.mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.certificate, given.key)
    writer = Writer(given)

    def authenticate(server, session, envelope, mechanism, login):
        right = (login.login.decode(), login.password.decode()) == (given.user, given.password)
        return AuthResult(success=right, handled=False, auth_data=given.user if right else None)

    def session():
        return SMTP(
            writer,
            hostname="mail.test",
            tls_context=context if given.mode == "starttls" else None,
            require_starttls=given.mode == "starttls",
            auth_required=given.user is not None,
            auth_require_tls=given.mode == "starttls",
            authenticator=authenticate if given.user else None,
        )

    implicit = context if given.mode == "tls" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", given.port, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def end_with_the_test():
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_test, daemon=True).start()
    asyncio.run(serve(arguments()))
