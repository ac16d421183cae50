"""What the catalog of a large database costs the sidecar: time until it answers, memory, and the CPU of one refresh.

The same sidecar before a database of a few relations, and before one of many, in one run; the difference is the catalog's.

    python3 benches/vs/catalog.py --mitsuke ~/.cache/mitsuke/target/release/mitsuke
"""

import argparse
import statistics
import time

import relays
from postgres import Postgres

# Six columns a table, one of them personal by its name, and every tenth table a view's.
FILL = """
do $$ begin for n in %d..%d loop
  execute format('create table t_%%s (id int primary key, name text, email text, note text, at timestamptz, total numeric)', n);
  if n %% 10 = 0 then execute format('create view v_%%s as select id, email from t_%%s', n, n); end if;
  if n %% 500 = 0 then commit; end if;
end loop; end $$"""
BATCH = 2000
SETTLED_SECONDS = 6


def high_water_bytes(relay):
    with open("/proc/%d/status" % relay.process.pid) as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def ask(server, relay, sql):
    server.run("psql", "-h", "127.0.0.1", "-p", str(relay.port), "-U", "postgres", "-qc", sql, "postgres")


def measure(server, program):
    """It listens before it has read the catalog, and answers when it has."""
    began = time.monotonic()
    relay = relays.mitsuke(server, program, 20)
    try:
        ask(server, relay, "select 1")
        answered, cpu = time.monotonic() - began, relay.cpu_seconds()
        time.sleep(SETTLED_SECONDS)
        resident, high = relay.resident_bytes(), high_water_bytes(relay)
        before = relay.cpu_seconds()
        time.sleep(SETTLED_SECONDS)
        idle = relay.cpu_seconds() - before
        ask(server, relay, "create table fresh (id int); drop table fresh")
        time.sleep(SETTLED_SECONDS)
        refresh = relay.cpu_seconds() - before - 2 * idle
        return answered, cpu, resident / 2**20, high / 2**20, refresh
    finally:
        relay.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mitsuke", required=True)
    options.add_argument("--relations", type=int, default=50000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    # Indexes are relations, too, but not what the catalog holds.
    tables = chosen.relations * 10 // 11
    server = Postgres({"max_locks_per_transaction": 1024, "autovacuum": "off"}, 1, 50)
    try:
        few = [measure(server, chosen.mitsuke) for _ in range(chosen.rounds)]
        for first in range(1, tables + 1, BATCH):
            server.run("psql", *server.address(), "-qc", FILL % (first, min(first + BATCH - 1, tables)), "postgres")
        many = [measure(server, chosen.mitsuke) for _ in range(chosen.rounds)]
    finally:
        server.stop()
    print("| relations | until it answers, s | CPU s by then | memory, MiB | at most, MiB | CPU s of a refresh |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rounds in (("a few", few), ("%d" % chosen.relations, many)):
        figures = [statistics.median(column) for column in zip(*rounds)]
        print("| %s | %.2f | %.2f | %.1f | %.1f | %.2f |" % (name, *figures))


if __name__ == "__main__":
    main()
