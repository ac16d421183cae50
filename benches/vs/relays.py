"""What stands between clients and server: nothing, pgbouncer, a plain copy, Mitsuke. Each is a process whose CPU is read."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from postgres import TICKS, account, free_port


class Relay:
    """`name`: in the table. `port`: where clients connect. `process`: None for a direct connection."""

    def __init__(self, name, port, process=None, folder=None):
        self.name, self.port, self.process, self.folder = name, port, process, folder
        if process:
            self.wait()

    def wait(self):
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("%s did not start:\n%s" % (self.name, open(self.folder + "/log", errors="replace").read()))

    def cpu_seconds(self):
        """User and system time of the process, all threads."""
        if not self.process:
            return 0.0
        with open("/proc/%d/stat" % self.process.pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_bytes(self):
        """Anonymous memory: mapped files (the journal) are the page cache's."""
        if not self.process:
            return 0
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def start(name, port, command, folder, **how):
    log = open(folder + "/log", "wb")
    return Relay(name, port, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **how), folder)


def direct(server, name="direct"):
    return Relay(name, server.port)


def pgbouncer(server, connections):
    port, folder = free_port(), tempfile.mkdtemp(prefix="mitsuke-vs-")
    with open(folder + "/pgbouncer.ini", "w") as file:
        # `auth_type = any` needs to be told whom to log in as.
        file.write(
            "[databases]\n* = host=127.0.0.1 port=%d user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            "listen_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = session\nmax_client_conn = %d\n"
            "default_pool_size = %d\nlog_connections = 0\nlog_disconnections = 0\nserver_tls_sslmode = disable\n"
            "server_reset_query =\n" % (server.port, port, connections + 50, connections + 50)
        )
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    how, user = {}, account()
    if user:
        for path in (folder, folder + "/pgbouncer.ini"):
            os.chown(path, user.pw_uid, user.pw_gid)
        how = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return start("pgbouncer", port, [program, folder + "/pgbouncer.ini"], folder, **how)


def plain_copy(server, program):
    port, folder = free_port(), tempfile.mkdtemp(prefix="mitsuke-vs-")
    command = [program, "--listen", "127.0.0.1:%d" % port, "--upstream", "127.0.0.1:%d" % server.port]
    return start("plain tokio copy", port, command, folder)


def mitsuke(server, program, connections, is_bare=False):
    """Everything on: process durability, the built-in policies, the catalog. Bare: none of it, but what is relayed is recorded all the same."""
    port, folder = free_port(), tempfile.mkdtemp(prefix="mitsuke-vs-")
    more = '[catalog]\nurl = "postgres://postgres@127.0.0.1:%d/postgres"\n' % server.port
    if is_bare:
        os.mkdir(folder + "/none")
        more = '[policies]\npath = "%s/none"\n' % folder
    with open(folder + "/mitsuke.toml", "w") as file:
        file.write(
            '[listen]\naddress = "127.0.0.1:%d"\nconnections_max = %d\n[upstream]\naddress = "127.0.0.1:%d"\n%s'
            '[log]\npath = "%s/log.mitsuke"\ndurability = "%s"\n'
            % (port, connections + 50, server.port, more, folder, "relaxed" if is_bare else "process")
        )
    name = "mitsuke, bare" if is_bare else "mitsuke"
    return start(name, port, [program, "run", "--config", folder + "/mitsuke.toml"], folder)
