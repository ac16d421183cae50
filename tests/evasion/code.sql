-- a function of the row, called as a column of it
create function other.mail_of(shop.customers) returns text language sql stable as 'select $1.email'
set search_path to other, public
--> inferred / assumed | email | 40
select c.mail_of from shop.customers c
--> inferred / assumed | email | 40
select (c).mail_of from shop.customers c
--> inferred / assumed | email | 40
select mail_of from (select c.mail_of from shop.customers c) x
--> inferred / assumed | name, email, phone, my_number | 40
select c.to_jsonb from shop.customers c
--> inferred / assumed | name, email, phone, my_number | 40
select c.row_to_json from shop.customers c
drop function other.mail_of(shop.customers)

-- a condition that says what it sees
create function pg_temp.leaky(text) returns boolean language plpgsql cost 0.0000001 as $$ begin raise notice '%', $1; return true; end $$
--> assumed | email | 40
select id from shop.customers where pg_temp.leaky(email)
--> assumed | email | 1
select count(*) from shop.customers where id = 7 and pg_temp.leaky(email)
--> assumed | email | 1
select p.id from shop.products p where pg_temp.leaky((select email from shop.customers where id = 7)) limit 1

-- a domain that says what it checks
create function other.seen(text) returns boolean language plpgsql as $$ begin raise notice '%', $1; return true; end $$
create domain other.shouting as text check (other.seen(value))
--> assumed | email | 40
select id from shop.customers where email::other.shouting is not null
drop domain other.shouting
drop function other.seen(text)

-- a trigger that says what changes
create function other.says() returns trigger language plpgsql as $$ begin raise notice '%', new.email; return new; end $$
create trigger says before update on shop.customers for each row execute function other.says()
--> assumed | email | 7
update shop.customers set city = city where id <= 7
drop trigger says on shop.customers
drop function other.says()

-- a rule that answers with a query
create table other.ruled (id int)
create rule answers as on insert to other.ruled do instead select email from shop.customers
--> exact / inferred / assumed | email | 40 | simple
insert into other.ruled values (1)
drop table other.ruled

-- an aggregate whose step reads
create function other.steps(text, int) returns text language sql as $$ select coalesce($1, '') || email from shop.customers where id = $2 $$
create aggregate other.read_all(int) (sfunc = other.steps, stype = text)
--> inferred / assumed | email | 10
select other.read_all(id) from shop.products
drop aggregate other.read_all(int)
drop function other.steps(text, int)

-- what is computed, once the catalog has been read anew: a default, a generated column, a trigger that fills in; and what is innocent
create table other.defaulted (id int, v text default shop.email_of(7))
create function other.generates(int) returns text language plpgsql immutable as $$ begin return (select email from shop.customers where id = $1); end $$
create table other.generated (id int, v text generated always as (other.generates(id)) stored)
create index reading on shop.products (other.generates(id))
analyze shop.products
create table other.filled (id int, v text)
create function other.fills() returns trigger language plpgsql as $$ begin new.v := (select email from shop.customers where id = new.id); return new; end $$
create trigger fills before insert on other.filled for each row execute function other.fills()
create table other.stamped (id int, note text, at timestamptz default now(), kind text default lower('NEW'))
create function other.stamps() returns trigger language plpgsql as $$ begin new.at := now(); if new.note is null then new.note := 'none'; end if; perform 1 from shop.products where id = new.id; return new; end $$
create trigger stamps before insert on other.stamped for each row execute function other.stamps()
create function other.guards() returns trigger language plpgsql as $$ begin if not exists (select from shop.customers where id = new.id) then raise exception 'no such customer'; end if; new.at := now(); return new; end $$
create trigger guards before update on other.stamped for each row execute function other.guards()
create function other.busy(int) returns boolean language plpgsql as $$ begin raise notice 'looked at %', $1; return true; end $$
select pg_sleep(5)
--> inferred / assumed | email | 1
insert into other.defaulted (id) values (1) returning v
--> inferred / assumed | email | 1
select v from other.defaulted
--> assumed | email | 1
insert into other.generated (id) values (7) returning v
--> assumed | email | 1
select v from other.generated
--> inferred / assumed | email | 1
select histogram_bounds from pg_stats where tablename = 'reading'
--> assumed | email | 1
insert into other.filled (id) values (7) returning v
--> assumed | email | 1
select v from other.filled
--> innocent
select id from other.filled
--> innocent
insert into other.stamped (id) values (1) returning note, kind
--> innocent
select id, note, kind from other.stamped
--> innocent
update other.stamped set note = 'x' returning id, note
--> innocent
select id, title from shop.products where other.busy(id) limit 3
drop index shop.reading
drop table other.defaulted, other.generated, other.filled, other.stamped
drop function other.generates(int), other.fills(), other.stamps(), other.guards(), other.busy(int)

-- a table that a block of code makes
do $$ begin create table other.made as select id, email from shop.customers; end $$
--> inferred / assumed | email | 40
select email from other.made
select pg_sleep(3)
--> inferred / assumed | email | 40
select email from other.made
drop table other.made

-- by what it executes
do $$ begin execute 'create table other.taken as select id, email from shop.customers'; end $$
--> inferred / assumed | email | 40
select email from other.taken
select pg_sleep(3)
--> inferred / assumed | email | 40
select email from other.taken
drop table other.taken

-- by what a function puts together, into one that is there
create table other.there (v text)
create function other.puts(target text) returns void language plpgsql as $$ begin execute 'insert into other.there select ' || target || ' from shop.customers where phone is not null'; end $$
select pg_sleep(3)
select other.puts('phone')
--> inferred / assumed | phone | 40
select v from other.there
drop table other.there
drop function other.puts(text)

-- of what is not classified
do $$ begin execute 'create table other.titles as select id, title from shop.products'; end $$
select pg_sleep(3)
--> innocent
select title from other.titles
drop table other.titles
