"""How much the built-in policies say of what does no harm: findings of 100,000 statements, by severity and policy.

Three loads go through a sidecar with everything as it is delivered, before a throwaway server each: pgbench in its three protocols; the
statements of PostgreSQL's own regression suite, in the order of its parallel schedule, each file by psql as pg_regress runs it; and the tests that
SQLAlchemy has for dialects (`sqlalchemy.testing.suite`, in its package). Whether their own tests pass is not looked at.

    python3 -m venv /tmp/quiet && /tmp/quiet/bin/pip install sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' pytest
    /tmp/quiet/bin/python benches/vs/quiet.py --mitsuke ~/.cache/mitsuke/target/release/mitsuke \\
        --regress ~/.cache/mitsuke/postgres-sources/*/source/src/test/regress

`tests/postgres_regress.sh` fetches the sources. A load that is not there is not run, and said so.
"""

import argparse
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from postgres import Postgres, free_port

LOADS = ["pgbench", "regress", "sqlalchemy"]
FILE_SECONDS_MAX = 300


class Sidecar:
    """`mitsuke run` with the built-in policies, before a server; stopped, its log is asked."""

    def __init__(self, program, server):
        self.program, self.port = program, free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="mitsuke-quiet-")
        self.log, config = self.folder.name + "/log", self.folder.name + "/mitsuke.toml"
        with open(config, "w") as file:
            file.write('[listen]\naddress = "127.0.0.1:%d"\n[upstream]\naddress = "127.0.0.1:%d"\n' % (self.port, server.port))
            file.write('[catalog]\nurl = "postgresql://postgres@127.0.0.1:%d/postgres"\n' % server.port)
            # The loads make their own databases past it.
            file.write('[bypass]\nwatch = "off"\n[log]\npath = "%s"\n' % self.log)
        self.errors = open(self.folder.name + "/errors", "wb")
        self.process = subprocess.Popen([program, "run", "--config", config], stdout=self.errors, stderr=self.errors)
        for _ in range(600):
            if subprocess.run([server.bin + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("the sidecar did not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.errors.close()

    def ask(self, sql):
        done = subprocess.run([self.program, "query", "--log", self.log, "--format", "json", sql], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip().startswith("{")]


def pgbench(server, sidecar, _):
    for protocol in ["simple", "extended", "prepared"]:
        address = ["-h", "127.0.0.1", "-p", str(sidecar.port), "-U", "postgres", "postgres"]
        server.run("pgbench", "-n", "-t", "1000", "-c", "4", "-M", protocol, *address)


def regress(server, sidecar, options):
    folder = options.regress and os.path.abspath(options.regress)
    if not folder or not os.path.isdir(folder + "/sql"):
        return "no sources of PostgreSQL: name src/test/regress with --regress"
    with open(folder + "/parallel_schedule") as schedule:
        names = re.findall(r"^test: (.*)$", schedule.read(), re.MULTILINE)
    server.run("createdb", *server.address(), "--template=template0", "--locale=C", "regression")
    for name in " ".join(names).split():
        environment = {**os.environ, "PGAPPNAME": "pg_regress/" + name, "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY"}
        environment.update(PG_ABS_SRCDIR=folder, PG_ABS_BUILDDIR=folder, PG_LIBDIR=folder, PG_DLSUFFIX=".so")
        psql = [server.bin + "/psql", "-X", "-a", "-q", "-h", "127.0.0.1", "-p", str(sidecar.port), "-U", "postgres", "-d", "regression"]
        try:
            with open("%s/sql/%s.sql" % (folder, name), "rb") as script:
                subprocess.run(psql, stdin=script, env=environment, capture_output=True, timeout=FILE_SECONDS_MAX)
        except (subprocess.TimeoutExpired, FileNotFoundError) as error:
            print("# %s: %s" % (name, error), file=sys.stderr)


def sqlalchemy(server, sidecar, _):
    try:
        import psycopg, pytest, sqlalchemy  # noqa: E401, F401
    except ImportError as error:
        return "%s: see the first lines of this script" % error
    server.run("psql", *server.address(), "-qc", "create schema test_schema", "-c", "create extension hstore", "postgres")
    with tempfile.TemporaryDirectory(prefix="mitsuke-quiet-") as folder:
        with open(folder + "/conftest.py", "w") as file:
            file.write('import pytest\npytest.register_assert_rewrite("sqlalchemy.testing.assertions")\n')
            file.write("from sqlalchemy.testing.plugin.pytestplugin import *  # noqa\n")
        with open(folder + "/test_suite.py", "w") as file:
            file.write("from sqlalchemy.testing.suite import *  # noqa\n")
        with open(folder + "/setup.cfg", "w") as file:
            file.write("[tool:pytest]\npython_files=test_*.py\n")
            file.write("[sqla_testing]\nrequirement_cls=sqlalchemy.testing.requirements:SuiteRequirements\nprofile_file=profiles.txt\n")
        url = "postgresql+psycopg://postgres@127.0.0.1:%d/postgres" % sidecar.port
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--dburi", url, folder]
        done = subprocess.run(tests, cwd=folder, capture_output=True, text=True)
        print("#", (done.stdout.strip().splitlines() or ["nothing was said"])[-1])


def measure(load, options):
    server = Postgres({}, 1, 60)
    try:
        sidecar = Sidecar(options.mitsuke, server)
        began = time.monotonic()
        why = globals()[load](server, sidecar, options)
        sidecar.stop()
        if why:
            print("%s: not run: %s" % (load, why))
            return
        statements = sidecar.ask("select count(*) as n from statements")[0]["n"]
        found = sidecar.ask("select severity, policy, count(*) as n from findings group by 1, 2 order by 3 desc")
        by_severity = collections.Counter()
        for line in found:
            by_severity[line["severity"]] += line["n"]
        each = {severity: round(n * 100_000 / max(statements, 1), 1) for severity, n in by_severity.items()}
        print("%s: %d statements in %.0f s; findings of 100,000: %s" % (load, statements, time.monotonic() - began, each or "none"))
        for line in found:
            print("  %-8s %-40s %d" % (line["severity"], line["policy"], line["n"]))
        for line in sidecar.ask("select policy, explanation from findings where severity <> 'low' order by at limit 40"):
            print("  !", line["policy"], "|", line["explanation"])
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mitsuke", required=True)
    parser.add_argument("--regress", help="src/test/regress of PostgreSQL's sources")
    parser.add_argument("loads", nargs="*", default=LOADS, help="of " + ", ".join(LOADS))
    options = parser.parse_args()
    for load in options.loads:
        measure(load, options)


if __name__ == "__main__":
    main()
