const { Client } = require('pg')

async function main() {
  const db = new Client({ connectionString: process.argv[2] })
  await db.connect()
  const outcome = async (what, ...query) => {
    try {
      await db.query(...query)
      console.log(what, 'was not denied')
    } catch (error) {
      console.log(what, error.constructor.name, error.code, error.severity, Boolean(error.message))
    }
  }
  await outcome('simple', 'select * from forbidden')
  await outcome('parameters', 'select * from forbidden where id = $1', [1])
  const named = { name: 's', text: 'select * from forbidden where id = $1', values: [1] }
  await outcome('named', named)
  await outcome('named again', named)
  console.log((await db.query('select count(*) from t')).rows)
  await db.query('begin')
  await db.query('insert into t values (100)')
  await outcome('transaction', 'select * from forbidden where id = $1', [1])
  await outcome('aborted', 'select 1')
  await db.query('rollback')
  console.log((await db.query('select count(*) from t where id > $1', [0])).rows)
  // Several at once: the driver queues them.
  const several = [db.query('select 1 as i'), db.query('select * from forbidden'), db.query('select $1::int as i', [2])]
  console.log((await Promise.allSettled(several)).map(done => done.value ? done.value.rows : done.reason.code))
  console.log((await db.query({ name: 't', text: 'select $1::text', values: ['goes on'] })).rows)
  await db.end()
}

main()
