"""Receivers of alerts: `receiver.py http|udp|tcp|tls FILE [CERTIFICATE KEY]`.

Prints its port. Appends what it takes to FILE, a line each: of HTTP the path, the header Authorization and the body. While
FILE.away exists, HTTP answers 503; while FILE.refuse exists, 400.
"""

import http.server
import os
import socketserver
import ssl
import sys

kind, path = sys.argv[1:3]


def take(line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


class Http(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = 503 if os.path.exists(path + ".away") else 400 if os.path.exists(path + ".refuse") else 204
        if status == 204:
            take(f"{self.path} {self.headers['Authorization'] or '-'} {body}")
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        take(self.request[0].decode())


class Stream(socketserver.StreamRequestHandler):
    """RFC 6587: so many octets, a space, the message."""

    def handle(self):
        while True:
            digits = b""
            while not digits.endswith(b" "):
                byte = self.rfile.read(1)
                if not byte:
                    return
                digits += byte
            take(self.rfile.read(int(digits)).decode())


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    context = None

    def get_request(self):
        socket, address = super().get_request()
        return (self.context.wrap_socket(socket, server_side=True) if self.context else socket), address


place = ("127.0.0.1", 0)
if kind == "udp":
    server = socketserver.UDPServer(place, Datagram)
else:
    server = Threads(place, Http if kind in ("http", "https") else Stream)
    if len(sys.argv) > 3:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(sys.argv[3], sys.argv[4])
print(server.server_address[1], flush=True)
server.serve_forever()
