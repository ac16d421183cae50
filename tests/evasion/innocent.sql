-- counted, not read
--> innocent
select count(*) from shop.customers
--> innocent
select count(email) from shop.customers
--> innocent
select count(distinct email) from shop.customers where email is not null
--> innocent
select city, count(*) from shop.customers group by city
--> innocent
select count(*) filter (where id > 1) from shop.customers
--> innocent
select exists (select 1 from shop.customers where id = 1)
--> innocent
select 1 from shop.customers where email = 'person1@example.com'
--> innocent
select id, city from shop.customers
--> innocent
select max(id), min(created) from shop.customers
--> innocent
select avg(total), sum(total) from shop.orders
--> innocent
select count(*) from (select email from shop.customers) x
--> innocent
select count(*) from (select distinct email from shop.customers) x
--> innocent
with c as (select * from shop.customers) select count(*) from c

-- filtered, joined and sorted by it, and not returned
--> innocent
select city from shop.customers where email = 'x'
--> innocent
select id from shop.customers order by email
--> innocent
select o.total from shop.orders o join shop.customers c on c.id = o.customer_id where c.phone like '+8190%'
--> innocent
select p.title from shop.products p join shop.customers c on c.email = p.title
--> innocent
select total from shop.orders where exists (select 1 from shop.customers c where c.id = customer_id and c.my_number = '1')
--> innocent
select total from shop.orders where customer_id in (select id from shop.customers where name like 'A%')
--> innocent
select city from shop.customers group by city having count(distinct email) > 1
--> innocent
select row_number() over (order by email), city from shop.customers
--> innocent
select rank() over (partition by city order by id) from shop.customers
--> innocent
select id from shop.customers where (email, phone) = ('a', 'b')
--> innocent
select x.id from (select id, email from shop.customers) x
--> innocent
select mail_count from (select city, count(email) as mail_count from shop.customers group by 1) x
--> innocent
select b.city from (select email, city from shop.customers) b
--> innocent
with a as (select id, email from shop.customers) select id from a
--> innocent
select city from shop.contacts
--> innocent
select * from shop.cities
--> innocent
select * from shop.per_city
--> innocent
select b from shop.renamed
--> innocent
select count(*) from shop.mailing
--> innocent
select customer_id, at from shop.visits
--> innocent
select id from shop.staff
--> innocent
select level from shop.managers
--> innocent
select total from shop.orders where note ilike '%late%'
--> innocent
select product_id from shop.reviews

-- other tables
--> innocent
select * from shop.products
--> innocent
select p.* from shop.products p where p.price > 10 order by title
--> innocent
select title from shop.products where id = any ('{1,2,3}')
--> innocent
select upper(title) as email from shop.products
--> innocent
select string_agg(title, ',') from shop.products
--> innocent
select to_json(p) from shop.products p
--> innocent
copy shop.products to stdout
--> innocent
copy (select title from shop.products) to stdout

-- no table
--> innocent
select 1
--> innocent
select now(), current_user, version()
--> innocent
select 'person1@example.com' as email
--> innocent
select * from (values ('a@example.com', 1)) as customers (email, id)
--> innocent
select generate_series(1, 1000)
--> innocent
select pg_backend_pid(), inet_server_addr()
--> innocent
select pg_sleep(0)
--> innocent
select nextval('shop.notes_id_seq')
--> innocent
select json_build_object('email', 'x')
--> innocent
select repeat('person@example.com ', 1000)
--> innocent
values (1, 'email'), (2, 'phone')
--> innocent
select set_config('my.setting', 'x', false), current_setting('my.setting')
--> innocent
select current_setting('search_path')

-- the session
--> innocent
set search_path to shop
--> innocent
show search_path
--> innocent
show all
--> innocent
begin
--> innocent
savepoint s
--> innocent
release savepoint s
--> innocent
commit
--> innocent
listen things
--> innocent
notify things, 'hello'
--> innocent
unlisten *
--> innocent
set session characteristics as transaction read only

-- written, and not returned
begin
--> innocent
insert into shop.customers (id, email) values (99, 'x')
--> innocent
update shop.customers set email = 'y' where id = 99
--> innocent
update shop.customers set city = city where email like 'p%' returning id
--> innocent
delete from shop.customers where id = 99 returning id
--> innocent
insert into shop.products select id + 100, city, 1 from shop.customers
--> innocent
delete from shop.products where id > 100 returning price
rollback

-- made, and not read
--> innocent
create table other.made (id int, email text)
--> innocent
alter table other.made add column phone text
--> innocent
create index on other.made (email)
--> innocent
comment on column other.made.email is 'nothing'
--> innocent
drop table other.made
--> innocent
create temp table t_counts as select city, count(*) as people from shop.customers group by city
--> innocent
select * from t_counts
--> innocent
analyze shop.customers
--> innocent
vacuum shop.products
--> innocent
grant select on shop.products to public
--> innocent
do $$ begin perform 1; end $$

-- what DBeaver asks
--> innocent
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate ORDER BY db.datname
--> innocent
select * from pg_catalog.pg_settings where name='standard_conforming_strings'
--> innocent
select string_agg(word, ',' ) from pg_catalog.pg_get_keywords() where word <> 'a'
--> innocent
SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname
--> innocent
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace='shop'::regnamespace AND c.relkind not in ('i','I','c')
--> innocent
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid='shop.customers'::regclass ORDER BY a.attnum
--> innocent
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass WHERE c.conrelid='shop.customers'::regclass ORDER BY c.oid
--> innocent
select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size FROM pg_class c WHERE c.relnamespace='shop'::regnamespace
--> innocent
SHOW TRANSACTION ISOLATION LEVEL

-- what pgAdmin asks
--> innocent
SELECT rel.oid, rel.relname AS name, (SELECT count(*) FROM pg_trigger WHERE tgrelid=rel.oid AND tgisinternal = FALSE) AS triggercount, (SELECT count(*) FROM pg_inherits i WHERE i.inhrelid = rel.oid) AS is_inherits FROM pg_class rel WHERE rel.relkind IN ('r','s','t','p') AND rel.relnamespace = 'shop'::regnamespace ORDER BY rel.relname
--> innocent
SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity) AS "Total", (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'active') AS "Active") t
--> innocent
SELECT roles.oid as id, roles.rolname as name, roles.rolsuper as is_superuser, CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END as can_create_role FROM pg_catalog.pg_roles as roles WHERE rolname = current_user
--> innocent
SELECT nsp.oid, nsp.nspname as name, pg_catalog.has_schema_privilege(nsp.oid, 'CREATE') as can_create FROM pg_catalog.pg_namespace nsp WHERE nspname NOT LIKE E'pg\\_%' ORDER BY nspname
--> innocent
SELECT pr.oid, pr.proname, pg_catalog.pg_get_function_identity_arguments(pr.oid) FROM pg_catalog.pg_proc pr WHERE pronamespace = 'shop'::regnamespace

-- what DataGrip asks
--> innocent
select N.oid::bigint as id, N.nspname as name, D.description from pg_catalog.pg_namespace N left join pg_catalog.pg_description D on N.oid = D.objoid order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
--> innocent
with T as ( select distinct T.oid as table_id, T.relname as table_name from pg_catalog.pg_class T, pg_catalog.pg_attribute A where T.relnamespace = 'shop'::regnamespace and T.relkind in ('r', 'm', 'v', 'f', 'p') and A.attrelid = T.oid ) select T.table_id, C.attnum as column_position, C.attname as column_name, C.xmin as column_state_number, pg_catalog.format_type(C.atttypid, C.atttypmod) as type_spec from T join pg_catalog.pg_attribute C on T.table_id = C.attrelid where attnum > 0 order by table_id, attnum
--> innocent
select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) as startup_time

-- what Metabase asks
--> innocent
SELECT "pg_catalog"."pg_class"."relname" AS "name", "n"."nspname" AS "schema", obj_description(pg_class.oid) AS description FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace n ON n.oid = pg_class.relnamespace WHERE n.nspname !~ '^pg_' AND relkind IN ('r', 'p', 'v', 'f', 'm')
--> innocent
SELECT c.column_name AS name, c.udt_name AS "database-type", c.ordinal_position - 1 AS "database-position", c.table_schema, c.table_name, col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS "field-comment" FROM information_schema.columns AS c WHERE c.table_schema !~ '^information_schema|catalog_history|pg_'
--> innocent
SELECT COUNT(*) AS "count" FROM "shop"."customers" WHERE "shop"."customers"."city" = 'City 1'
--> innocent
SELECT DATE_TRUNC('month', "shop"."customers"."created") AS "created", COUNT(*) AS "count" FROM "shop"."customers" GROUP BY DATE_TRUNC('month', "shop"."customers"."created") ORDER BY 1
--> innocent
SELECT "source"."city" AS "city", COUNT(*) AS "count" FROM (SELECT "shop"."customers"."id" AS "id", "shop"."customers"."email" AS "email", "shop"."customers"."city" AS "city" FROM "shop"."customers") AS "source" GROUP BY "source"."city"

-- what ORMs ask
--> innocent
SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)
--> innocent
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation WHERE a.attrelid = '"shop"."customers"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
--> innocent
SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type as t LEFT JOIN pg_range as r ON oid = rngtypid WHERE t.typname IN ('int2', 'int4', 'text')
--> innocent
select relname from pg_class c join pg_namespace n on n.oid=c.relnamespace where pg_catalog.pg_table_is_visible(c.oid) and relname='customers'
--> innocent
SELECT pg_catalog.pg_attribute.attname AS name, pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attribute.attnum > 0 WHERE pg_catalog.pg_class.relname = 'customers'
--> innocent
select t0."id", t0."city" from "shop"."customers" as t0 where t0."email" = 'x' limit 1
--> innocent
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'shop' ORDER BY 1, 2
--> innocent
SELECT tc.constraint_name, kcu.column_name FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name WHERE tc.table_name = 'customers'
--> innocent
SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = 'customers')
--> innocent
SELECT pg_try_advisory_lock(4711)
--> innocent
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' ESCAPE '\'

-- a temporary table by the name of the other
create temp table customers (id int, email text)
insert into customers values (1, 'nobody')
set search_path to pg_temp, shop
--> innocent
select lower(email) from customers

-- counts kept by what WITH writes
create table other.counts (city text, people bigint)
--> innocent
with a as (select city, email from shop.customers) insert into other.counts select city, count(*) from a group by city returning people
--> innocent
select city, people from other.counts
--> innocent | from 17
with m as (merge into other.counts t using shop.customers c on c.city = t.city and c.id = 1 when matched then update set people = 1 returning t.city) select * from m
--> innocent
select people from other.counts
drop table other.counts

-- what a DBA looks at, and does
--> innocent
select n_distinct, null_frac, avg_width from pg_stats where tablename = 'customers'
--> innocent
select query_to_xmlschema('select email from shop.customers', false, false, '')
--> innocent
select table_to_xmlschema('shop.customers', false, false, '')
--> innocent
select pg_size_pretty(pg_total_relation_size('shop.customers')), pg_relation_filepath('shop.customers')
--> innocent
select relname, n_live_tup, last_autovacuum from pg_stat_user_tables
--> innocent
select ctid, xmin, tableoid::regclass from shop.customers where email = 'person7@example.com'
--> innocent
select id from shop.customers where email = 'person7@example.com' for update skip locked
--> innocent
select id, city from shop.customers where pg_try_advisory_xact_lock(id) limit 5
--> innocent
select locktype, mode, granted from pg_locks where relation = 'shop.customers'::regclass
--> innocent
begin
lock table shop.customers in access share mode
refresh materialized view shop.mailing
rollback
--> innocent
select pid, state, wait_event from pg_stat_activity where datname = current_database()
--> innocent
drop table if exists other.never_was
--> innocent
analyze shop.customers
--> innocent
vacuum (verbose) shop.customers
