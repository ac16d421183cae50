-- what a function reads
--> inferred / assumed | email | 40
select shop.emails()
--> inferred / assumed | email | 40
select * from shop.emails()
--> inferred / assumed | email | 1 | no more
select shop.email_of(1)
--> inferred / assumed | phone | 1 | no more
select shop.phone_of(1)
--> inferred / assumed | name, email, phone, my_number | 40 | no more
select * from shop.all_customers()
--> inferred / assumed | name, email, phone, my_number | 40
select email from shop.all_customers()
--> inferred / assumed | email | 40 | no more
select * from shop.pairs()
--> inferred / assumed | email | 1 | no more
select * from shop.one()
--> inferred / assumed | email | 1
select (shop.one()).mail
--> inferred / assumed | email | 40
select shop.outer_emails()
--> inferred / assumed | email | 40 | from 14
select shop.modern()
--> assumed | name, email, phone, my_number | 40
select * from shop.dynamic('select email from shop.customers')
--> inferred / assumed | email | 40
select shop.email_of(id) from generate_series(1, 40) id
--> inferred / assumed | email | 40 | no more
select p.e from generate_series(1, 40) i, lateral shop.email_of(i) as p (e)
--> inferred / assumed | email | 40
select string_agg(e, ',') from shop.emails() e
--> inferred / assumed | email | 1 | no more
select upper(shop.email_of(1))
--> inferred / assumed | email | 40
copy (select shop.emails()) to stdout

-- a row of a function's is of one person, beside a column's of another
--> inferred | email, name | 2 | no more
select c.name, shop.email_of(2) from shop.customers c where c.id = 1
--> inferred / assumed | email, phone | 2 | no more
select shop.email_of(1), shop.phone_of(2)
--> inferred | email | 2 | no more
select shop.email_of(1) || shop.email_of(2)

-- one that reads nobody's data changes nothing of whose a row is
--> inferred | email | 3 | no more
select id, shop.doubled(id), email from shop.customers where id <= 3
--> inferred | shop.orders.ship_to | 3 | no more
select customer_id, shop.doubled(total), ship_to from shop.orders where customer_id <= 3

-- unqualified, by the search path
set search_path to shop
--> inferred / assumed | email | 40 | no more
select emails()

-- a procedure
--> inferred / assumed | email | 40
call shop.tell(null)

-- a cursor that a function opened
begin
select shop.cursor_of()
--> inferred / assumed | email | 40
fetch all from fc
commit

-- a function made a moment ago
create function other.made() returns setof text language sql as 'select email from shop.customers'
--> inferred / assumed | email | 40
select other.made()
drop function other.made()

-- a function of the session's own
create function pg_temp.mine() returns setof text language sql as 'select email from shop.customers'
--> inferred / assumed | email | 40
select pg_temp.mine()

-- an operator with a function behind it
create function other.peek(int, int) returns text language sql as 'select email from shop.customers where id = $1'
create operator other.### (leftarg = int, rightarg = int, function = other.peek)
--> inferred / assumed | email | 1
select 1 operator(other.###) 1
drop operator other.### (int, int)
drop function other.peek(int, int)

-- functions that take SQL as text
--> assumed | name, email, phone, my_number | 40
select query_to_xml('select email from shop.customers', false, false, '')
--> assumed | name, email, phone, my_number | 40
select table_to_xml('shop.customers', false, false, '')
--> assumed | name, email, phone, my_number | 40
select schema_to_xml('shop', false, false, '')
--> assumed | name, email, phone, my_number | 40
select database_to_xml(false, false, '')
--> assumed | email | 1
select word from ts_stat('select to_tsvector(email) from shop.customers where id = 1')

-- innocent ones
--> innocent
select shop.doubled(2)
--> innocent
select shop.price_of(1)

-- as tables of a document
--> inferred / assumed | email | 40
select x.e from (select xmlelement(name r, xmlagg(xmlelement(name e, email))) as d from shop.customers) c, xmltable('/r/e' passing c.d columns e text path '.') x
--> inferred / assumed | email | 40
select unnest(xpath('/r/e/text()', xmlelement(name r, xmlagg(xmlelement(name e, email))))) from shop.customers
--> inferred / assumed | email | 40 | from 17
select j.e from shop.customers c, json_table(json_build_object('email', c.email), '$' columns (e text path '$.email')) j
--> inferred / assumed | name, email, phone, my_number | 40 | from 17
select json_value(to_jsonb(c), '$.email') from shop.customers c
--> inferred / assumed | email | 40 | from 17
select json_query(json_build_array(email), '$[0]') from shop.customers
--> inferred / assumed | email | 40 | from 16
select json_objectagg(id: email) from shop.customers
--> assumed | email | 1
select query_to_xml_and_xmlschema('select email from shop.customers', false, false, '')
--> assumed | email | 1
select table_to_xml_and_xmlschema('shop.customers', false, false, '')

-- a cursor as a document
begin
declare c cursor for select email from shop.customers
--> assumed | email | 1
select cursor_to_xml('c', 10, false, false, '')
rollback

-- a search that is rewritten by a query
--> assumed | email | 1
select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, plainto_tsquery(''simple'', email) from shop.customers where id = 7')

-- what a body in PL/pgSQL names of a relation, or takes as a row; and functions that return a truth value, or nothing
create function other.finds(int) returns int language plpgsql as $$ declare n int; begin select c.id into n from shop.customers c where c.id = $1; return n; end $$
create function other.counts() returns bigint language plpgsql as $$ declare n bigint; begin select count(*) into n from shop.customers; update shop.customers set city = city where id = 1; return n; end $$
create function other.knows(text) returns boolean language plpgsql as $$ begin return exists (select from shop.customers where email = $1); end $$
create function other.checks(text) returns void language plpgsql as $$ declare r shop.customers; begin select * into r from shop.customers where email = $1; end $$
create function other.as_row(int) returns text language plpgsql as $$ begin return (select c::text from shop.customers c where c.id = $1); end $$
create function other.as_json(int) returns jsonb language plpgsql as $$ begin return (select to_jsonb(customers) from shop.customers where id = $1); end $$
create function other.by_place() returns setof text language plpgsql as $$ begin return query select x.c from (table shop.customers) x (a, b, c, d, e, f, g); end $$
create function other.as_record(int) returns text language plpgsql as $$ declare r shop.customers%rowtype; begin select * into r from shop.customers where id = $1; return r.phone; end $$
create function other.one_column(int) returns text language plpgsql as $$ declare r record; begin for r in select c.phone from shop.customers c where c.id = $1 loop return r.phone; end loop; end $$
create function other.has_back(int) returns text language plpgsql as $$ declare r record; begin update shop.customers set city = city where id = $1 returning * into r; return r::text; end $$
create function other.first_of(int) returns setof text language plpgsql as $$ declare r record; begin for r in select distinct on (city) * from shop.customers where id = $1 loop return next r::text; end loop; end $$
create function other.tells(int) returns boolean language plpgsql as $$ begin raise notice '%', (select email from shop.customers where id = $1); return true; end $$
select pg_sleep(3)
--> innocent
select other.finds(3)
--> innocent
select other.counts()
--> innocent
select other.knows('person3@example.com')
--> innocent
select other.checks('person3@example.com')
--> assumed | name, email, phone, my_number | 1
select other.as_row(3)
--> assumed | name, email, phone, my_number | 1
select other.as_json(3)
--> assumed | email | 40
select other.by_place()
--> assumed | phone | 1
select other.as_record(3)
--> assumed | phone | 1
select other.one_column(3)
--> assumed | name, email, phone, my_number | 1
select other.has_back(3)
--> assumed | name, email, phone, my_number | 1
select other.first_of(3)
--> assumed | email | 1
select other.tells(3)
drop function other.finds(int), other.counts(), other.knows(text), other.checks(text), other.as_row(int), other.as_json(int), other.by_place(), other.as_record(int), other.one_column(int), other.has_back(int), other.first_of(int), other.tells(int)

-- and what collects
--> inferred / assumed | email | 40
select shop.glue(email) from shop.customers
--> inferred / assumed | email | 40
with recursive t (n, v) as (select 1, shop.email_of(1) union all select n + 1, v || shop.email_of(n + 1) from t where n < 40) select v from t order by n desc limit 1
create function other.both() returns text language plpgsql as $$ declare a text; b text; begin select email into a from shop.customers where id = 1; select email into b from shop.customers where id = 2; return a || b; end $$
--> inferred / assumed | email | 2
select other.both()
create function other.all_of_them() returns text language plpgsql as $$ declare a text = ''; r record; begin for r in select email from shop.customers loop a := a || r.email; end loop; return a; end $$
--> inferred / assumed | email | 40
select other.all_of_them()
drop function other.both(), other.all_of_them()
