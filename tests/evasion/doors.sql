-- in a notice
--> assumed | email | 40
do $$ declare r record; begin for r in select email from shop.customers loop raise notice '%', r.email; end loop; end $$
--> inferred / assumed | email | 40
select shop.shout()

-- in an error
--> inferred / assumed | email | 1 | error
select email::int from shop.customers
--> inferred / assumed | email | 1 | error
select 1 / (length(email) - length(email)) from shop.customers where cast(email as int) > 0
--> assumed | email | 1 | error
do $$ declare x text; begin select string_agg(email, ',') into x from shop.customers; raise exception '%', x; end $$

-- in a notification
listen leak
--> inferred | email | 40
select pg_notify('leak', email) from shop.customers

-- in the planner's statistics
--> inferred / assumed | email | 1
select most_common_vals, histogram_bounds from pg_stats where tablename = 'customers'
--> inferred / assumed | email | 1
select stavalues1 from pg_statistic where starelid = 'shop.customers'::regclass

-- in a file of the server
--> assumed | email | 1
select pg_read_binary_file(pg_relation_filepath('shop.customers'))

-- in a plan
--> innocent
explain select email from shop.customers
--> innocent
explain analyze select email from shop.customers
--> innocent
explain (verbose, costs off) select lower(email) from shop.customers where email = 'x'

-- in a setting
select set_config('my.leak', string_agg(email, ','), false) from shop.customers
--> inferred / assumed | email | 40
select current_setting('my.leak')
--> inferred / assumed | email | 40
show my.leak

-- in a large object
select lo_from_bytea(4711, convert_to(string_agg(email, ','), 'UTF8')) from shop.customers
--> inferred / assumed | email | 40
select lo_get(4711)
select lo_unlink(4711)

-- statistics over several columns
create statistics other.several (mcv) on email, phone from shop.customers
analyze shop.customers
--> inferred / assumed | email, phone | 1
select most_common_vals from pg_stats_ext where statistics_name = 'several'
--> inferred / assumed | email, phone | 1
select m.values from pg_statistic_ext join pg_statistic_ext_data on oid = stxoid, pg_mcv_list_items(stxdmcv) m where stxname = 'several'
drop statistics other.several
