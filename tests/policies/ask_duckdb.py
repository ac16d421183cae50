"""Questions, one JSON text a line, to DuckDB; answers, one JSON list of rows a line, or a text that says what was wrong."""

import json
import sys

import duckdb

connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("SET threads = 2")
for line in sys.stdin:
    try:
        # As texts: Python's times would need another package.
        rows = connection.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({json.loads(line)})").fetchall()
        print(json.dumps(rows), flush=True)
    except duckdb.Error as error:
        print(json.dumps(str(error)), flush=True)
