"""Questions from standard input, one a line, answered by DuckDB as CSV, one answer a paragraph: argv is the log's folder. `{t}` is the table."""

import sys

import duckdb

lake = duckdb.connect()
lake.execute("set TimeZone = 'UTC'")
table = f"read_parquet('{sys.argv[1]}/statements/*/*.parquet', hive_partitioning = true, union_by_name = true)"
for question in sys.stdin:
    for row in lake.execute(question.replace("{t}", table)).fetchall():
        print(",".join("" if value is None else str(value) for value in row))
    print()
