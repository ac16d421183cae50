"""Mitsuke beside what a user would pick instead, on one machine in one run, interleaved, medians of rounds.

CPU is that of the relay's process alone (/proc/PID/stat): the figure that other work on the machine disturbs least. What an audit within the server
takes is the server's, beside that of a server without.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess

import load
import relays
from postgres import Postgres

COPY_2_GB = "copy (select repeat('x', 100), i from generate_series(1, 18500000) i) to stdout"
SELECT_10_M = "select i, i * 2, 'row number ' || i from generate_series(1, 10000000) i"
COPY_QUICK = "copy (select repeat('x', 100), i from generate_series(1, 2000000) i) to stdout"
SELECT_QUICK = "select i, i * 2, 'row number ' || i from generate_series(1, 1000000) i"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mitsuke", required=True, help="the release binary")
    parser.add_argument("--plain-copy", required=True, help="the plain relay's binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each pgbench run")
    parser.add_argument("--clients", default="1,8,64,512")
    parser.add_argument("--modes", default="simple,extended,prepared")
    parser.add_argument("--idle", type=int, default=5000, help="idle connections")
    parser.add_argument("--only", default="pgbench,bulk,idle,log")
    parser.add_argument("--without", default="", help="relays to leave out, by name")
    parser.add_argument("--quick", action="store_true", help="one round, small results, 500 idle connections")
    parser.add_argument("--json", help="write every figure of every round there")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.idle = 1, min(given.idle, 500)
    return given


def medians(rounds):
    return {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}


def table(title, columns, rows):
    print("\n" + title)
    widths = [max(len(str(row[column])) for row in [columns] + rows) for column in range(len(columns))]
    for row in [columns] + rows:
        cells = [str(cell).ljust(width) if column == 0 else str(cell).rjust(width) for column, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip(), flush=True)


def interleaved(contestants, rounds, measure):
    """Every contestant once a round, in a different order each round."""
    found = {relay.name: [] for relay, _ in contestants}
    for number in range(rounds):
        turn = number % len(contestants)
        for relay, server in contestants[turn:] + contestants[:turn]:
            found[relay.name].append(measure(relay, server))
    return found


def ratio(value, of):
    return "%.2f" % (value / of) if of else "-"


def compare_pgbench(given, contestants, kept):
    for mode in given.modes.split(","):
        for clients in map(int, given.clients.split(",")):
            found = interleaved(contestants, given.rounds, lambda relay, server: load.pgbench(server, relay, mode, clients, given.seconds))
            kept["pgbench %s %d" % (mode, clients)] = found
            middle = {name: medians(rounds) for name, rounds in found.items()}
            bouncer = middle.get("pgbouncer", {}).get("cpu_us", 0)
            columns = ["", "relay CPU µs/tx", "of pgbouncer's", "server CPU µs/tx", "tx/s", "of direct"]
            rows = []
            for name, figures in middle.items():
                row = [name, "%.1f" % figures["cpu_us"], ratio(figures["cpu_us"], bouncer), "%.1f" % figures["server_us"], "%.0f" % figures["tps"], ratio(figures["tps"], middle["direct"]["tps"])]
                if clients == 1:
                    columns = columns[:6] + ["added p50 µs", "added p99 µs"]
                    row += ["%+d" % (figures[key] - middle["direct"][key]) for key in ("p50_us", "p99_us")]
                rows.append(row)
            table("pgbench -S -M %s, %d client%s" % (mode, clients, "" if clients == 1 else "s"), columns, rows)


def compare_bulk(given, contestants, kept):
    statements = (("COPY OUT", COPY_QUICK), ("SELECT", SELECT_QUICK)) if given.quick else (("COPY OUT of 2 GB", COPY_2_GB), ("SELECT of 10 million rows", SELECT_10_M))
    for name, sql in statements:
        found = interleaved(contestants, given.rounds, lambda relay, _: load.bulk(relay, sql))
        kept[name] = found
        middle = {name: medians(rounds) for name, rounds in found.items()}
        bouncer = middle.get("pgbouncer", {}).get("cpu_s_per_gb", 0)
        rows = [
            [name, "%.2f" % figures["cpu_s_per_gb"], ratio(figures["cpu_s_per_gb"], bouncer), "%.0f" % figures["mb_per_s"], ratio(figures["mb_per_s"], middle["direct"]["mb_per_s"])]
            for name, figures in middle.items()
        ]
        table(name, ["", "relay CPU s/GB", "of pgbouncer's", "MB/s", "of direct"], rows)


def compare_idle(given, contestants, kept):
    rows = []
    for relay, _ in contestants:
        if relay.process:
            each = load.idle(relay, given.idle)
            kept.setdefault("idle", {})[relay.name] = each
            rows.append([relay.name, "%.1f" % (each / 1024)])
    table("memory of %d idle connections" % given.idle, ["", "KiB each"], rows)


def tell_log(given, folder, kept):
    """Bytes of Parquet a statement, of what the run left behind. The sidecar has stopped: all of it is sealed."""
    log = folder + "/log.mitsuke"
    files = glob.glob(log + "/statements/**/*.parquet", recursive=True)
    size = sum(os.path.getsize(path) for path in files)
    said = subprocess.run([given.mitsuke, "query", "select count(*) as n from statements", "--format", "csv", "--log", log], capture_output=True, text=True)
    count = int(said.stdout.split()[1])
    kept["log bytes per statement"] = size / count
    print("\nlog: %d statements, %.1f bytes each in Parquet" % (count, size / count))


def main():
    given = arguments()
    wanted = given.only.split(",")
    connections = max([given.idle if "idle" in wanted else 0] + list(map(int, given.clients.split(","))))
    kept, open_things = {}, []

    def opened(thing):
        open_things.append(thing)
        return thing

    try:
        # A pooler keeps its connections when its clients are gone.
        server = opened(Postgres({}, 10, 2 * connections + 200))
        contestants = [(opened(relays.direct(server)), server)]
        contestants.append((opened(relays.pgbouncer(server, connections)), server))
        contestants.append((opened(relays.plain_copy(server, given.plain_copy)), server))
        ours = opened(relays.mitsuke(server, given.mitsuke, connections))
        contestants.append((ours, server))
        contestants.append((opened(relays.mitsuke(server, given.mitsuke, connections, is_bare=True)), server))
        if glob.glob(server.bin + "/../lib/pgaudit.so"):
            settings = {"shared_preload_libraries": "'pgaudit'", "pgaudit.log": "'all'"}
            audited = opened(Postgres(settings, 10, connections + 200))
            contestants.append((opened(relays.direct(audited, "direct with pgaudit")), audited))
        else:
            print("(pgaudit is not installed: left out)")
        contestants = [(relay, server) for relay, server in contestants if relay.name not in given.without.split(",")]
        if "pgbench" in wanted:
            compare_pgbench(given, contestants, kept)
        if "bulk" in wanted:
            compare_bulk(given, contestants, kept)
        if "idle" in wanted:
            compare_idle(given, contestants, kept)
        if "log" in wanted:
            folder, ours.folder = ours.folder, None
            ours.stop()
            tell_log(given, folder, kept)
            ours.folder = folder
        if given.json:
            with open(given.json, "w") as file:
                json.dump(kept, file, indent=1)
    finally:
        for thing in reversed(open_things):
            thing.stop()


if __name__ == "__main__":
    main()
