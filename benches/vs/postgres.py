"""Throwaway PostgreSQL clusters: loopback only, never as root, removed at the end."""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def bin_folder():
    """The newest server that is installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")
    found = [folder for folder in found if os.access(folder + "/postgres", os.X_OK)]
    if not found and shutil.which("postgres"):
        found = [os.path.dirname(os.path.realpath(shutil.which("postgres")))]
    if not found:
        raise SystemExit("no PostgreSQL server is installed")
    return max(found, key=lambda folder: int(re.findall(r"\d+", folder)[-1]))


def account():
    """Whom the server runs as: PostgreSQL refuses root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SystemExit("neither `postgres` nor `nobody` is an account here")


class Postgres:
    """A cluster that runs until `stop`."""

    def __init__(self, settings, scale, max_connections):
        self.bin = bin_folder()
        self.user = account()
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="mitsuke-vs-")
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.data = self.folder + "/data"
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        lines = {
            "listen_addresses": "'127.0.0.1'",
            "port": self.port,
            "unix_socket_directories": "'%s'" % self.folder,
            "max_connections": max_connections,
            "shared_buffers": "'512MB'",
            "fsync": "off",
            "synchronous_commit": "off",
            "max_wal_size": "'4GB'",
            "logging_collector": "off",
            **settings,
        }
        with open(self.data + "/postgresql.conf", "a") as file:
            file.writelines("%s = %s\n" % line for line in lines.items())
        self.log = open(self.folder + "/log", "wb")
        self.process = subprocess.Popen([self.bin + "/postgres", "-D", self.data], stdout=self.log, stderr=self.log, **self.as_user())
        self.wait()
        self.run("pgbench", "-i", "-q", "-s", str(scale), *self.address(), "postgres")
        self.run("psql", *self.address(), "-qc", "vacuum analyze", "postgres")

    def as_user(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": [], "cwd": self.folder}

    def address(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]

    def run(self, program, *arguments):
        done = subprocess.run([self.bin + "/" + program, *arguments], capture_output=True, text=True, **self.as_user())
        if done.returncode != 0:
            raise SystemExit("%s failed:\n%s" % (program, done.stderr))
        return done.stdout

    def wait(self):
        for _ in range(300):
            if subprocess.run([self.bin + "/pg_isready", "-q", *self.address()]).returncode == 0:
                return
            if self.process.poll() is not None:
                break
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        with open(self.folder + "/log", errors="replace") as log:
            raise SystemExit("PostgreSQL did not start:\n" + log.read())

    def cpu_seconds(self):
        """User and system time of the server, all its processes: those that run, and those that have ended."""
        spent = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if path == "/proc/%d/stat" % self.process.pid:
                spent += sum(map(int, fields[11:15]))
            elif int(fields[1]) == self.process.pid:
                spent += sum(map(int, fields[11:13]))
        return spent / TICKS

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
