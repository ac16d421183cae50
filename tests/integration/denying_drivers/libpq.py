import sys
from psycopg import pq

def connect():
    connection = pq.PGconn.connect(sys.argv[1].encode())
    assert connection.status == pq.ConnStatus.OK, connection.error_message
    return connection

def results(connection, count):
    """So many results, each with its status; None between queries is stepped over."""
    seen = []
    while len(seen) < count:
        result = connection.get_result()
        if result is None:
            continue
        status = pq.ExecStatus(result.status).name
        code = result.error_field(pq.DiagnosticField.SQLSTATE)
        seen.append(status + (" " + code.decode() if code else ""))
    return seen

c = connect()
c.enter_pipeline_mode()
for sql in [b"select 1", b"select * from forbidden", b"select 2"]:
    c.send_query_params(sql, None)
c.pipeline_sync()
c.send_query_params(b"select 3", None)
c.pipeline_sync()
print(results(c, 6), pq.PipelineStatus(c.pipeline_status).name)
# Prepared, described, bound; the unnamed and a named statement.
c.send_prepare(b"s", b"select * from forbidden where id = $1")
c.send_describe_prepared(b"s")
c.pipeline_sync()
first = results(c, 3)
c.send_query_prepared(b"s", [b"1"])
c.send_query_params(b"select 4", None)
c.pipeline_sync()
print((first + results(c, 3))[-3:][1:], pq.PipelineStatus(c.pipeline_status).name)
# Requests are flushed before their Sync.
c.send_query_params(b"select 5", None)
c.send_flush_request()
c.flush()
print(results(c, 1))
c.send_query_params(b"select * from forbidden", None)
c.send_flush_request()
c.flush()
print(results(c, 1), pq.PipelineStatus(c.pipeline_status).name)
c.send_query_params(b"select 6", None)
c.pipeline_sync()
print(results(c, 2))
c.exit_pipeline_mode()
# A transaction, without a pipeline.
for sql in [b"begin", b"select * from forbidden", b"select 7", b"rollback", b"select 8"]:
    result = c.exec_(sql)
    print(pq.ExecStatus(result.status).name, pq.TransactionStatus(c.transaction_status).name)
