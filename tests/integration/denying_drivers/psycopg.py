import sys
import psycopg
from psycopg import errors

def outcome(what, attempt):
    try:
        attempt()
        print(what, "was not denied")
    except psycopg.Error as error:
        print(what, type(error).__name__, error.sqlstate, error.diag.severity_nonlocalized, bool(error.diag.message_primary))

def copy(db):
    with db.cursor().copy("copy forbidden to stdout") as copy:
        list(copy)

with psycopg.connect(sys.argv[1], autocommit=True) as db:
    outcome("simple", lambda: db.execute("select * from forbidden"))
    outcome("parameters", lambda: db.execute("select * from forbidden where id = %s", (1,)))
    outcome("prepared", lambda: db.execute("select * from forbidden where id = %s", (1,), prepare=True))
    outcome("binary", lambda: db.execute("select * from forbidden where id = %s", (1,), binary=True))
    outcome("many", lambda: db.cursor().executemany("delete from forbidden where id = %s", [(1,), (2,)]))
    outcome("copy", lambda: copy(db))
    outcome("function", lambda: db.execute("do $$ begin perform * from forbidden; end $$"))
    print(db.execute("select count(*) from t").fetchone())
    # A transaction is aborted, to its savepoint or whole.
    with db.transaction():
        db.execute("insert into t values (100)")
        def nested():
            with db.transaction():
                db.execute("select * from forbidden")
        outcome("savepoint", nested)
        print(db.execute("select count(*) from t").fetchone())
        raise psycopg.Rollback()
    db.autocommit = False
    db.execute("insert into t values (101)")
    outcome("transaction", lambda: db.execute("select * from forbidden"))
    outcome("aborted", lambda: db.execute("select 1"))
    print(db.info.transaction_status.name)
    db.rollback()
    print(db.execute("select count(*) from t").fetchone())
    db.rollback()
    db.autocommit = True
    # A pipeline: what came before, the denial, what is aborted behind it, and what comes after the next Sync.
    with db.pipeline() as pipeline:
        before = db.execute("select 'before'")
        pipeline.sync()
        def pipelined():
            # Which of these raises it depends on how quickly the answer comes.
            db.execute("select * from forbidden where id = %s", (1,))
            db.execute("select 'behind'")
            pipeline.sync()
        outcome("pipeline", pipelined)
        for _ in range(5):
            try:
                pipeline.sync()
                break
            except psycopg.Error:
                pass
        after = db.execute("select 'after'")
        pipeline.sync()
        print(before.fetchone(), after.fetchone())
    print(db.execute("select 'goes on', count(*) from t").fetchone(), db.closed, db.broken)
