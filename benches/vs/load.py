"""The load: pgbench, one big result over a bare socket, idle connections. Each gives figures, none prints."""

import glob
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time


def pgbench(server, relay, mode, clients, seconds):
    """Select-only pgbench. CPU of the relay and of the server per transaction in µs, transactions per second, p50 and p99 in µs."""
    # pgbench counts from before it connects, one client after the other.
    seconds += clients // 50
    folder = tempfile.mkdtemp(prefix="mitsuke-vs-")
    if server.user:
        os.chown(folder, server.user.pw_uid, server.user.pw_gid)
    command = [
        server.bin + "/pgbench", "-n", "-S", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds),
        "-h", "127.0.0.1", "-p", str(relay.port), "-U", "postgres", "postgres",
    ]
    if clients == 1:
        command[1:1] = ["-l", "--log-prefix=" + folder + "/t"]
    before, before_server = relay.cpu_seconds(), server.cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, **server.as_user())
    spent, spent_server = relay.cpu_seconds() - before, server.cpu_seconds() - before_server
    if done.returncode != 0:
        raise SystemExit("pgbench through %s failed:\n%s" % (relay.name, done.stderr))
    count = int(re.search(r"transactions actually processed: (\d+)", done.stdout).group(1))
    figures = {
        "cpu_us": spent / count * 1e6,
        "server_us": spent_server / count * 1e6,
        "tps": float(re.search(r"tps = ([\d.]+) \(without", done.stdout).group(1)),
    }
    latencies = []
    for path in glob.glob(folder + "/t*"):
        with open(path) as file:
            latencies += [int(line.split()[2]) for line in file]
    if latencies:
        latencies.sort()
        figures["p50_us"] = latencies[len(latencies) // 2]
        figures["p99_us"] = latencies[len(latencies) * 99 // 100]
    shutil.rmtree(folder, ignore_errors=True)
    return figures


def connect(port):
    """A session of the superuser, past its first ReadyForQuery."""
    stream = socket.create_connection(("127.0.0.1", port), 30)
    body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    stream.sendall(struct.pack("!I", len(body) + 4) + body)
    heard = b""
    while not (len(heard) >= 6 and heard[-6:-1] == b"Z\0\0\0\x05"):
        more = stream.recv(65536)
        if not more:
            raise SystemExit("port %d closed during start-up: %r" % (port, heard[:200]))
        heard += more
    return stream


def bulk(relay, sql):
    """One statement's whole result, thrown away. Relay's CPU seconds per GB, MB per second."""
    stream = connect(relay.port)
    room = bytearray(1 << 20)
    text = sql.encode() + b"\0"
    before, started = relay.cpu_seconds(), time.monotonic()
    stream.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
    total, tail = 0, b""
    while tail[-6:-1] != b"Z\0\0\0\x05":
        count = stream.recv_into(room)
        if count == 0:
            raise SystemExit("%s closed the connection in the middle of a result" % relay.name)
        total += count
        tail = (tail + bytes(room[max(0, count - 6):count]))[-6:]
    took, spent = time.monotonic() - started, relay.cpu_seconds() - before
    stream.close()
    return {"cpu_s_per_gb": spent / (total / 1e9), "mb_per_s": total / 1e6 / took, "gb": total / 1e9}


def idle(relay, connections):
    """Memory that idle connections add to the relay, bytes each."""
    before = relay.resident_bytes()
    streams = [connect(relay.port) for _ in range(connections)]
    time.sleep(2)
    after = relay.resident_bytes()
    for stream in streams:
        stream.close()
    time.sleep(2)
    return (after - before) / connections
