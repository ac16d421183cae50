"""Questions to a large log: `mitsuke query` and `mitsuke who` beside DuckDB over the same files, interleaved, warm; whole processes, wall and CPU seconds.

    python3 benches/vs/lake.py --mitsuke ~/.cache/mitsuke/target/release/mitsuke --fill FILL_LOG --statements 100000000

FILL_LOG is the bench of that name: `cargo bench --no-run --bench fill_log` says where it is. A log that is there already (`--log`) is used again.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

FILES = "read_parquet('%s/statements/*/*.parquet', hive_partitioning = true)"
# As CSV, as Mitsuke answers: values of Python would cost more than the question.
ASK = """import sys, duckdb; duckdb.sql("set threads = %d"); duckdb.sql(f"copy ({sys.argv[1]}) to '/dev/stdout' (format csv, header false)")""" % (os.cpu_count() or 1)


# Whoever fills a log with made-up people has no key to find them by: what is asked with this one finds nobody, and reads all the same.
KEY = "0" * 64


def questions(log):
    """Name, SQL or command for Mitsuke, SQL for DuckDB."""
    files = FILES % log
    first = f"select subjects[1] from {files} where dt = (select min(dt) from {files}) and persons > 0 limit 1"
    shown = subprocess.run([sys.executable, "-c", ASK, first], check=True, capture_output=True, text=True).stdout
    first = shown.strip()
    person = f'''select "at", db_user, client_addr, query from %s where array_%s(subjects, '{first}') order by "at"'''
    count = '''select db_user, %s as day, count(*) from %%s group by 1, 2 order by 1, 2'''
    trunc, date, partition = [count % day for day in ("""date_trunc('day', "at")""", '"at"::date', "dt")]
    hour = """select count(*), sum(persons) from %s where "at" between '2026-09-03 10:00:00+00' and '2026-09-03 10:59:59+00'"""
    who = """select "at", db_user, client_addr, query from %s where array_contains(relations, 'shop.customers')
        and (array_contains(subjects, 'none') or array_contains(literals, 'none') or persons > coalesce(len(subjects), 0)) order by "at" """ % files
    return [
        ("nothing: what starting takes", "select 1", "select 1"),
        ("count by user and day: date_trunc", trunc % "statements", trunc % files),
        ("the same: at::date", date % "statements", date % files),
        ("the same: dt", partition % "statements", partition % files),
        ("one person's history", person % ("statements", "has"), person % (files, "contains")),
        ("`who shop.customers 17`", ["who", "shop.customers", "17"], who),
        ("one hour of the whole", hour % "statements", (hour + " and dt = '2026-09-03'") % files),
    ]


def asking(mitsuke, log, question):
    if isinstance(question, str):
        return [mitsuke, "query", "--log", log, "--format", "csv", question]
    return [mitsuke, *question, "--log", log]


def spent(command):
    """Wall and CPU seconds of a whole process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill(chosen, log):
    command = [chosen.fill, "--log", log, "--statements", str(chosen.statements), "--days", str(chosen.days)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    size = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rate, each = chosen.statements / cpu, size / chosen.statements
    print("%d statements written: %.0f a CPU second, %.1f bytes each, at most %.0f MiB of memory\n" % (chosen.statements, rate, each, after.ru_maxrss / 1024))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mitsuke", required=True)
    options.add_argument("--fill")
    options.add_argument("--statements", type=int, default=100_000_000)
    options.add_argument("--days", type=int, default=90)
    options.add_argument("--log")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mitsuke-vs-") as folder:
        log = chosen.log or folder + "/log"
        with open(folder + "/key", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as key:
            key.write(KEY)
        os.environ["MITSUKE_PRIVACY__KEY_FILE"] = folder + "/key"
        if not os.path.isdir(log + "/statements"):
            fill(chosen, log)
        print("| question | mitsuke, s | CPU s | DuckDB, s | CPU s | of DuckDB's |\n| --- | --- | --- | --- | --- | --- |")
        for name, ours, theirs in questions(log):
            commands = (asking(chosen.mitsuke, log, ours), [sys.executable, "-c", ASK, theirs])
            rounds = [[spent(command) for command in commands] for _ in range(chosen.rounds + 1)][1:]
            (wall, cpu), (their_wall, their_cpu) = [
                [statistics.median(column) for column in zip(*side)] for side in zip(*rounds)
            ]
            print("| %s | %.2f | %.2f | %.2f | %.2f | %.2f |" % (name, wall, cpu, their_wall, their_cpu, wall / their_wall))


if __name__ == "__main__":
    main()
