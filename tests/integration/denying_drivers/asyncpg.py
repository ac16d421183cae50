import asyncio
import io
import sys
import asyncpg

async def outcome(what, attempt):
    try:
        await attempt
        print(what, "was not denied")
    except asyncpg.PostgresError as error:
        print(what, type(error).__name__, error.sqlstate, error.severity_en, bool(error.message))

async def main():
    db = await asyncpg.connect(sys.argv[1])
    await outcome("execute", db.execute("select * from forbidden"))
    await outcome("fetch", db.fetch("select * from forbidden"))
    await outcome("fetch again", db.fetch("select * from forbidden"))
    await outcome("parameters", db.fetch("select * from forbidden where id = $1", 1))
    await outcome("many", db.executemany("delete from forbidden where id = $1", [(1,), (2,)]))
    await outcome("copy out", db.copy_from_query("select * from forbidden", output=io.BytesIO()))
    await outcome("copy in", db.copy_to_table("forbidden", source=io.BytesIO(b"7\n")))
    print(await db.fetchval("select count(*) from t"))
    transaction = db.transaction()
    await transaction.start()
    await db.execute("insert into t values (100)")
    await outcome("transaction", db.fetch("select * from forbidden"))
    await outcome("aborted", db.fetch("select 1"))
    await transaction.rollback()
    async with db.transaction():
        print([row["id"] async for row in db.cursor("select id from t order by id", prefetch=7)][-3:])
        try:
            async with db.transaction():
                await db.fetch("select * from forbidden")
        except asyncpg.InsufficientPrivilegeError:
            print("savepoint")
        print(await db.fetchval("select count(*) from t"))
    print(await db.fetchval("select 'goes on'"), db.is_closed())
    await db.close()

asyncio.run(main())
