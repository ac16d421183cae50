-- in locks, which every session sees
--> assumed | my_number | 1
select count(pg_advisory_lock(my_number::bigint)) from shop.customers where id = 7
--> inferred / assumed | my_number | 1
select pg_try_advisory_lock(my_number::bigint) from shop.customers where id = 7
--> assumed | my_number | 1
select 1 from shop.customers where id = 7 and pg_try_advisory_xact_lock(1, right(my_number, 6)::int)
select pg_advisory_unlock_all()

-- in the place in a large object
begin
select lo_open(lo_creat(131072), 393216)
--> assumed | my_number | 1
select count(lo_lseek64(0, my_number::bigint, 0)) from shop.customers where id = 7
rollback

-- in a warning of the server's own
--> assumed | my_number | 1
select count(pg_terminate_backend(right(my_number, 6)::int + 900000000)) from shop.customers where id = 7

-- in the time that it takes
--> assumed | email | 1
select count(pg_sleep(ascii(email) / 10000.0)) from shop.customers where id = 7
--> assumed | email | 1
select 1 from shop.customers where id = 7 and pg_sleep(ascii(email) / 10000.0) is not null

-- a number of one's own choice
--> innocent
select count(pg_advisory_lock(4711)) from shop.customers
--> innocent
select pg_try_advisory_lock(hashtext('nightly'))
--> innocent
select pg_advisory_unlock_all()
--> innocent
select pg_sleep(0.001)
--> innocent
select id from shop.products where pg_try_advisory_xact_lock(id)
