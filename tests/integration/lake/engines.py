"""The same questions by every engine that is installed, over one log: argv is the log's folder and that of the definitions."""

import datetime
import importlib.util
import os
import sys

log, definitions = sys.argv[1:]
TABLES = {"statements": 18, "transactions": 2, "sessions": 2, "findings": 2, "reviews": 2}
# By day and user: statements, people.
WANTED = [
    ("2026-11-23", "anna", 4, 12),
    ("2026-11-23", "ben", 2, 6),
    ("2026-11-24", "anna", 2, 8),
    ("2026-11-24", "ben", 4, 16),
    ("2026-11-25", "anna", 4, 4),
    ("2026-11-25", "ben", 2, 10),
]
FIRST = datetime.datetime(2026, 11, 23, 10, tzinfo=datetime.timezone.utc)


def definition(name):
    with open(os.path.join(definitions, name)) as file:
        return file.read().replace("LOG", log)


def rows(found):
    return [(str(day)[:10], user, int(count), int(people or 0)) for day, user, count, people in found]


def duckdb():
    import duckdb

    lake = duckdb.connect()
    lake.execute(definition("duckdb.sql"))
    counts = {table: lake.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}
    by_day = "select dt, db_user, count(*), sum(persons) from statements group by all order by all"
    first, last = lake.execute("""select epoch_us(min("at")), max(len(relations)) from statements""").fetchone()
    only = lake.execute("select count(*) from statements where dt = date '2026-11-24'").fetchone()[0]
    return counts, rows(lake.execute(by_day).fetchall()), (first, last), only


def pyarrow():
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    lake = {table: ds.dataset(f"{log}/{table}", partitioning="hive") for table in TABLES}
    statements = lake["statements"].to_table()
    grouped = statements.group_by(["dt", "db_user"]).aggregate([("seq", "count"), ("persons", "sum")])
    found = grouped.sort_by([("dt", "ascending"), ("db_user", "ascending")]).to_pylist()
    by_day = [(row["dt"], row["db_user"], row["seq_count"], row["persons_sum"]) for row in found]
    first = int(pc.min(statements["at"]).as_py().timestamp() * 1_000_000)
    longest = pc.max(pc.list_value_length(statements["relations"])).as_py()
    only = lake["statements"].count_rows(filter=ds.field("dt") == "2026-11-24")
    return {table: lake[table].count_rows() for table in TABLES}, rows(by_day), (first, longest), only


def polars():
    import polars as pl

    lake = {table: pl.scan_parquet(f"{log}/{table}/**/*.parquet", hive_partitioning=True) for table in TABLES}
    statements = lake["statements"]
    grouped = statements.group_by("dt", "db_user").agg(pl.len(), pl.col("persons").sum()).sort("dt", "db_user")
    first, longest = statements.select(pl.col("at").min().dt.epoch("us"), pl.col("relations").list.len().max()).collect().row(0)
    only = statements.filter(pl.col("dt") == datetime.date(2026, 11, 24)).select(pl.len()).collect().item()
    counts = {table: lake[table].select(pl.len()).collect().item() for table in TABLES}
    return counts, rows(grouped.collect().rows()), (first, longest), only


def chdb():
    import json

    import chdb.session

    lake = chdb.session.Session()
    for statement in definition("clickhouse.sql").split(";\n"):
        if statement.strip():
            lake.query(statement)

    def ask(sql):
        return [json.loads(line) for line in str(lake.query(sql, "JSONCompactEachRow")).splitlines()]

    counts = {table: int(ask(f"select count(*) from mitsuke.{table}")[0][0]) for table in TABLES}
    by_day = ask("select dt, db_user, count(*), sum(persons) from mitsuke.statements group by 1, 2 order by 1, 2")
    first, longest = ask("select toUnixTimestamp64Micro(min(assumeNotNull(at))), max(length(relations)) from mitsuke.statements")[0]
    only = int(ask("select count(*) from mitsuke.statements where dt = '2026-11-24'")[0][0])
    return counts, rows(by_day), (int(first), int(longest)), only


def pyspark():
    import tempfile

    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory() as warehouse:
        settings = {
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.warehouse.dir": warehouse,
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
        spark = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
        lines = definition("spark.sql").splitlines()
        for statement in "\n".join(line for line in lines if not line.startswith("--")).split(";\n"):
            if statement.strip():
                spark.sql(statement.strip().rstrip(";"))

        def ask(sql):
            return [tuple(row) for row in spark.sql(sql).collect()]

        counts = {table: ask(f"select count(*) from mitsuke.{table}")[0][0] for table in TABLES}
        by_day = ask("select dt, db_user, count(*), sum(persons) from mitsuke.statements group by 1, 2 order by 1, 2")
        times = ask("select unix_micros(min(at)), max(size(relations)) from mitsuke.statements")[0]
        only = ask("select count(*) from mitsuke.statements where dt = date '2026-11-24'")[0][0]
        spark.stop()
        return counts, rows(by_day), times, only


for engine in [duckdb, pyarrow, polars, chdb, pyspark]:
    if importlib.util.find_spec(engine.__name__) is None:
        print(engine.__name__, "is not installed")
        continue
    counts, by_day, times, only = engine()
    assert counts == TABLES, (engine.__name__, counts)
    assert by_day == WANTED, (engine.__name__, by_day)
    assert times == (int(FIRST.timestamp() * 1_000_000), 2), (engine.__name__, times)
    assert only == 6, (engine.__name__, only)
    print(engine.__name__, "agrees")
