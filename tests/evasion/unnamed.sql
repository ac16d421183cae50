-- what runs where nobody names it: casts, defaults, aggregates, operators, policies, constraints, triggers, event triggers
create type other.hole as (v text)
create function other.into_hole(int) returns other.hole language sql stable as 'select row(email)::other.hole from shop.customers where id = $1'
create cast (int as other.hole) with function other.into_hole(int)
--> assumed | email | 1
select 7::other.hole
create domain other.dd as text default shop.email_of(7)
create table other.dt (id int, v other.dd)
create function other.defaults(x text default shop.email_of(7)) returns text language sql as 'select x'
create function other.steps(text, int) returns text language sql as $$ select coalesce($1, '') || email from shop.customers where id = $2 $$
create aggregate other.read_all(int) (sfunc = other.steps, stype = text)
create function other.final(text) returns text language sql as $$ select email from shop.customers where id = 7 $$
create aggregate other.read_final(text) (sfunc = textcat, stype = text, finalfunc = other.final)
create function other.peek(text, int) returns text language sql as 'select email from shop.customers where id = $2'
create operator other.% (leftarg = text, rightarg = int, function = other.peek)
create operator other.<= (leftarg = text, rightarg = int, function = other.peek)
create function other.st() returns setof text language sql as 'select most_common_vals::text from pg_stats where tablename = ''customers'''
create function other.st2() returns setof text language plpgsql as $$ begin return query select histogram_bounds::text from pg_stats where tablename = 'customers'; end $$
create view other.stv as select attname, histogram_bounds::text as v from pg_stats where tablename = 'customers'
create function other.remembered() returns text language sql as 'select current_setting(''my.leak'')'
create aggregate other.count(text) (sfunc = textcat, stype = text, initcond = '')
create table other.parent (id int not null, name text, email text)
alter table shop.staff inherit other.parent
create view other.over_parent as select lower(email) as e from other.parent
create function other.within() returns trigger language plpgsql as $$ begin new.what := new.email; return new; end $$
create table other.same (id int, what text, email text)
create trigger within before insert on other.same for each row execute function other.within()
alter table shop.customers add column loud text generated always as (upper(email)) stored
create function other.says() returns trigger language plpgsql as $$ begin raise notice '%', (select string_agg(email, ',') from shop.customers); return new; end $$
create table other.says (id int)
create trigger says before insert on other.says for each row execute function other.says()
create function other.fails() returns trigger language plpgsql as $$ begin raise exception '%', (select string_agg(email, ',') from shop.customers); end $$
create table other.fails (id int)
create trigger fails before insert on other.fails for each row execute function other.fails()
create function other.seen(int) returns boolean language plpgsql as $$ begin raise notice '%', (select string_agg(email, ',') from shop.customers); return true; end $$
create table other.checked (id int check (other.seen(id)))
create table other.guarded (id int, v text)
insert into other.guarded values (1, 'x')
create policy seen on other.guarded using (other.seen(id))
alter table other.guarded enable row level security
grant usage on schema shop, other to pg_monitor
grant select on other.guarded, shop.customers to pg_monitor
insert into other.same select id, 'x', email from shop.customers
select pg_sleep(5)
--> inferred / assumed | email | 1
select 7::other.hole
--> inferred / assumed | email | 1
select (cast(8 as other.hole)).v
--> inferred / assumed | email | 1
insert into other.dt (id) values (1) returning v
--> inferred / assumed | email | 1
select v from other.dt
--> inferred / assumed | email | 1
select other.defaults()
--> inferred / assumed | email | 10
select other.read_all(id) from shop.products
--> inferred / assumed | email | 1
select other.read_final(title) from shop.products
--> inferred / assumed | email | 1
select 'x'::text operator(other.%) 7
--> assumed | email | 1
select other.st()
--> assumed | email | 1
select other.st2()
--> assumed | email | 1
select v from other.stv
--> inferred / assumed | shop.staff.email | 5
select email from other.parent
--> inferred / assumed | shop.staff.email | 5
select lower(email) from other.parent
--> inferred / assumed | shop.staff.email | 5
select e from other.over_parent
--> inferred / assumed | email | 40
select what from other.same
--> inferred / assumed | email | 40
select loud from shop.customers
--> inferred / assumed | email | 40
select lower(loud) from shop.customers
--> assumed | email | 40
insert into other.says values (1)
--> assumed | email | 40 | error
insert into other.fails values (1)
--> assumed | email | 40
insert into other.checked values (1)
set role pg_monitor
--> assumed | email | 40
select v from other.guarded
reset role
set search_path to other, public
--> inferred / assumed | email | 1
select 'x'::text % 7
--> inferred / assumed | email | 1
select 'x'::text <= 7
--> inferred / assumed | email | 40
select other.count(email) from shop.customers
--> assumed | email | 40
select count(email) from shop.customers
reset search_path
--> innocent
select id + 2, id < 7, price * 2 from shop.products
select set_config('my.leak', email, false) from shop.customers where id = 7
--> inferred / assumed | email | 1
select other.remembered()
alter table shop.staff no inherit other.parent
alter table shop.customers drop column loud
drop table other.parent cascade
drop table other.dt, other.same, other.says, other.fails, other.checked, other.guarded
drop view other.stv
drop cast (int as other.hole)
drop domain other.dd
drop aggregate other.count(text)
drop aggregate other.read_all(int)
drop aggregate other.read_final(text)
drop operator other.% (text, int)
drop operator other.<= (text, int)
drop function other.defaults(text), other.steps(text, int), other.final(text), other.peek(text, int), other.st(), other.st2(), other.remembered(), other.into_hole(int)
drop function other.within(), other.says(), other.fails(), other.seen(int)
drop type other.hole

-- an event trigger
create function other.on_ddl() returns event_trigger language plpgsql as $$ begin raise notice '%', (select string_agg(email, ',') from shop.customers); end $$
create event trigger tells on ddl_command_end execute function other.on_ddl()
select pg_sleep(5)
--> assumed | email | 40
create table other.nothing (id int)
drop event trigger tells
drop function other.on_ddl()
drop table other.nothing
select pg_sleep(6)

-- casts that no statement names: of what is assigned, and of what a function takes
create type other.key as (id int)
create function other.opens(other.key) returns text language sql stable as 'select email from shop.customers where id = $1.id'
create cast (other.key as text) with function other.opens(other.key) as assignment
create type other.lock as (id int)
create function other.turns(other.lock) returns text language sql stable as 'select phone from shop.customers where id = $1.id'
create cast (other.lock as text) with function other.turns(other.lock) as implicit
create table other.keys (k other.key, l other.lock)
insert into other.keys select row(id)::other.key, row(id)::other.lock from shop.customers
create table other.opened (v text)
select pg_sleep(3)
insert into other.opened select k from other.keys
--> inferred / assumed | email | 40
select v from other.opened
truncate other.opened
insert into other.opened values (row(7)::other.key)
--> inferred / assumed | email | 1
select v from other.opened
--> inferred / assumed | phone | 40
select lower(l) from other.keys
drop table other.keys, other.opened
drop cast (other.key as text)
drop cast (other.lock as text)
select pg_sleep(3)

-- a view over a function, and views whose columns functions make
--> inferred / assumed | email | 40
select v from shop.by_call
--> inferred / assumed | email | 5
select mail from shop.called
--> inferred / assumed | email, phone | 5
select * from shop.called
--> inferred / assumed | email | 5
select mail from shop.over_called
--> innocent
select title from shop.over_called
--> innocent
select price from shop.priced
-- the same by a function, a copy, and a view that was filled with it
--> inferred / assumed | email | 5
select mail from shop.mails_called
create function other.mails() returns setof text language sql as $$ select mail from shop.called $$
create function other.mails_too() returns setof text language plpgsql as $$ begin return query select mail from shop.called; end $$
create table other.mails_copied as select mail from shop.called
select pg_sleep(3)
--> inferred / assumed | email | 5
select other.mails()
--> inferred / assumed | email | 5
select other.mails_too()
--> inferred / assumed | email | 5
select mail from other.mails_copied
--> inferred / assumed | email | 5
select (c).mail from shop.called c
--> inferred / assumed | email, phone | 5
select c::text from shop.called c
--> inferred / assumed | email | 5
copy (select mail from shop.called) to stdout
--> innocent
select count(*) from shop.called where mail is not null
--> inferred / assumed | email | 40
select x from shop.as_xml
drop function other.mails(), other.mails_too()
drop table other.mails_copied

-- an operator and a cast within a function's body
create function other.peeks(int, int) returns text language sql as $$ select email from shop.customers where id = $1 $$
create operator other.### (leftarg = int, rightarg = int, function = other.peeks)
create type other.told as (v text)
create function other.tells(int) returns other.told language sql as $$ select row(phone)::other.told from shop.customers where id = $1 $$
create cast (int as other.told) with function other.tells(int)
create function other.by_operator() returns text language sql as $$ select 1 operator(other.###) 2 $$
create function other.by_operator_too() returns text language plpgsql as $$ begin return 1 operator(other.###) 2; end $$
create function other.by_cast() returns other.told language sql as $$ select 1::other.told $$
select pg_sleep(3)
--> inferred / assumed | email | 1
select other.by_operator()
--> inferred / assumed | email | 1
select other.by_operator_too()
--> inferred / assumed | phone | 1
select other.by_cast()
drop function other.by_operator(), other.by_operator_too(), other.by_cast()
drop cast (int as other.told)
drop operator other.### (int, int)
drop function other.peeks(int, int), other.tells(int)
drop type other.told

-- a function of a row as its column, a cast that nobody names, a rule that calls, and columns that operators make
set search_path to shop
--> inferred / assumed | email | 10
select p.mail_for from shop.products p
--> inferred / assumed | email | 10
select c.m from (select p.mail_for as m from shop.products p) c
--> inferred / assumed | email | 10
select p.id, p.mail_for as x from shop.products p where p.mail_for is not null
--> inferred / assumed | phone | 1
select shop.told_of(1)
--> inferred / assumed | email | 1 | simple
insert into shop.door values (1)
--> inferred / assumed | email | 1
select v from shop.defaults
--> inferred / assumed | email | 2
select g from shop.defaults

-- the first of these in functions' bodies and in a copy
set search_path to shop
create function other.b1() returns setof text language sql as $$ select p.mail_for from shop.products p $$
create function other.b2() returns setof text language plpgsql as $$ begin return query select p.mail_for from shop.products p; end $$
create table other.b3 as select p.mail_for from shop.products p
select pg_sleep(3)
set search_path to shop
--> inferred / assumed | email | 10
select other.b1()
--> inferred / assumed | email | 10
select other.b2()
--> inferred / assumed | email | 10
select * from other.b3
drop function other.b1(), other.b2()
drop table other.b3
select pg_sleep(3)
