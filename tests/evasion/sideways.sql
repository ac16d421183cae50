-- into a setting by a condition, and back
select 1 from shop.customers where id = 7 and set_config('side.one', email, false) <> ''
--> inferred / assumed | email | 1
select current_setting('side.one')

-- into a setting by what is counted
--> assumed | email | 1
select count(set_config('side.two', email, false)) from shop.customers where id = 7
--> inferred / assumed | email | 1
show side.two

-- into a sequence by a sub-select
create sequence other.side
select count(*) from (select setval('other.side', my_number::bigint) from shop.customers where id = 7) x
--> inferred / assumed | my_number | 1
select currval('other.side')
--> inferred / assumed | my_number | 1
select last_value from pg_sequences where schemaname = 'other' and sequencename = 'side'
select nextval('other.side')
--> inferred / assumed | my_number | 1
select lastval()
drop sequence other.side

-- into a large object by a condition
select 1 from shop.customers where id = 7 and lo_from_bytea(48070, convert_to(email, 'UTF8')) > 0
--> inferred / assumed | email | 1
select convert_from(lo_get(48070), 'UTF8')
select lo_unlink(48070)

-- a row within a row
--> inferred / assumed | email | 40
select (x.c).email from (select c from shop.customers c) x
--> inferred / assumed | name, email, phone, my_number | 40
select row(c.*) from shop.customers c
--> inferred / assumed | name, email, phone, my_number | 1
select (select c from shop.customers c where id = 7)
--> inferred / assumed | email, phone | 1
select (select row(email, phone) from shop.customers where id = 7)
--> inferred / assumed | email | 40
select (jsonb_populate_record(null::shop.customers, to_jsonb(c))).email from (select id, email from shop.customers) c
--> inferred / assumed | name, email, phone, my_number | 40
select array(select c from shop.customers c)::text
--> inferred / assumed | name, email, phone, my_number | 40
select format('%s', c) from shop.customers c
--> inferred / assumed | name, email, phone, my_number | 40
select concat(c, '') from shop.customers c

-- columns under other names
--> exact / inferred / assumed | name, email, phone, my_number | 40
select * from shop.customers as t (a, b, c, d, e, f, g)
--> exact / inferred / assumed | email | 40
select t.c from shop.customers as t (a, b, c)
--> exact / inferred | email | 40
select "c"."email" from "shop"."customers" "c"
--> exact / inferred | email | 40
select email from only shop.customers
--> exact / inferred | email | 40
select email from shop.customers *
--> exact / inferred / assumed | email | 40
select email from shop.customers tablesample bernoulli (100)

-- taken apart again
--> inferred / assumed | email | 40
select regexp_split_to_table(string_agg(email, ' '), ' ') from shop.customers
--> inferred / assumed | email | 40
select unnest(array_agg(email)) from shop.customers
--> inferred / assumed | name, email, phone, my_number | 40
select jsonb_each_text(to_jsonb(c)) from shop.customers c
--> inferred / assumed | name, email, phone, my_number | 40
select jsonb_path_query(to_jsonb(c), '$.email') from shop.customers c
--> inferred / assumed | name, email, phone, my_number | 40
select email from json_to_recordset((select json_agg(c) from shop.customers c)) as x(email text)
--> inferred / assumed | email | 40
select token from shop.customers, ts_parse('default', email) as t(tokid, token)
--> inferred / assumed | email | 40
select x from shop.customers, lateral (select upper(email) as x) l
--> inferred / assumed | email | 10
select x.e from shop.products p, lateral (select lower(c.email) as e from shop.customers c where c.id = p.id) x

-- a step at a time
--> inferred / assumed | email | 40
with recursive r as (select id, email from shop.customers where id = 1 union all select c.id, c.email from shop.customers c join r on c.id = r.id + 1) select lower(email) from r
--> inferred / assumed | email | 1
select case when email like 'person7@%' then 'yes' end from shop.customers where id = 7
--> inferred / assumed | email | 40
select string_agg(email, ',') over (order by id rows between unbounded preceding and current row) from shop.customers
--> exact / inferred / assumed | email | 40
select distinct on (email) email from shop.customers
--> inferred / assumed | email | 1
values ((select lower(email) from shop.customers where id = 7))
--> inferred / assumed | email | 40
select json_object(array_agg(id::text), array_agg(email)) from shop.customers

-- a plan that quotes what a function returned
create function pg_temp.folded() returns text language plpgsql immutable as $$ begin return (select email from shop.customers where id = 7); end $$
--> inferred / assumed | email | 1
explain select 1 from shop.products where title = pg_temp.folded()

-- innocent ones
--> innocent
select from shop.customers
--> innocent | from 14
select j.* from shop.customers join shop.orders using (id) as j
--> innocent
select count(*) filter (where email is not null) from shop.customers
--> innocent
select exists (select email from shop.customers where id = 1)
--> innocent
select set_config('side.tenant', '42', false), id from shop.products
--> innocent
select id, city from shop.customers where set_config('side.tenant', '42', false) = '42'
--> innocent
select p.id, p.price from shop.products p where exists (select 1 from shop.customers c where c.id = p.id and c.email like '%7%')
--> innocent
select p.id from shop.products p join shop.customers c using (id) order by c.email
--> innocent
with c as materialized (select email from shop.customers) select count(*) from c
--> innocent
select avg(o.total) from shop.orders o join shop.customers c on c.id = o.customer_id group by c.city
--> innocent
update shop.products set price = price where id in (select id from shop.customers)
--> innocent
select p.id, rank() over (order by p.price) from shop.products p
--> innocent
copy (select id, city from shop.customers) to stdout
--> innocent
select jsonb_build_object('id', id, 'city', city) from shop.customers

-- into a sequence whose name is put together: the last case, because no other sequence is innocent behind it
create sequence other.hidden
select setval(('other.' || 'hidden')::regclass, my_number::bigint) from shop.customers where id = 7
--> inferred / assumed | my_number | 1
select last_value from other.hidden
--> inferred / assumed | my_number | 1
select currval(('other.' || 'hidden')::regclass)
