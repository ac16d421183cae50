-- a function replaced a moment ago
create or replace function shop.doubled(x int) returns int language sql stable as 'select my_number::bigint::int from shop.customers where id = x'
--> assumed | my_number | 1
select shop.doubled(7)
create or replace function shop.doubled(x int) returns int language sql immutable as 'select x * 2'

-- functions that changed their names
alter function shop.doubled(int) rename to doubled2
alter function shop.email_of(int) rename to doubled
--> assumed | email | 1
select shop.doubled(7)
alter function shop.doubled(int) rename to email_of
alter function shop.doubled2(int) rename to doubled

-- in a transaction, before anybody else sees it, and once everybody does
begin
create or replace function shop.doubled(x int) returns int language sql stable as 'select my_number::bigint::int from shop.customers where id = x'
select pg_sleep(3)
--> assumed | my_number | 1
select shop.doubled(7)
commit
--> assumed | my_number | 1
select shop.doubled(7)
select pg_sleep(5)
--> inferred / assumed | my_number | 1
select shop.doubled(7)
create or replace function shop.doubled(x int) returns int language sql immutable as 'select x * 2'

-- a view replaced a moment ago
create or replace view shop.cities as select email as city, count(*) as people from shop.customers group by email
--> exact / inferred / assumed | email | 40
select city from shop.cities
--> inferred / assumed | email | 40
select lower(city) from shop.cities
create or replace view shop.cities as select city, count(*) as people from shop.customers group by city

-- tables that changed their names
create table other.one as select id, email from shop.customers
create table other.two as select id, title from shop.products
alter table other.two rename to three
alter table other.one rename to two
--> exact / inferred / assumed | email | 40
select email from other.two
--> inferred / assumed | email | 40
select lower(email) from other.two
drop table other.two, other.three

-- columns that changed their names
create table other.turned as select id, email, city from shop.customers
alter table other.turned rename column city to town
alter table other.turned rename column email to city
--> exact / inferred / assumed | email | 40
select city from other.turned
--> inferred / assumed | email | 40
select lower(city) from other.turned
drop table other.turned

-- a column made of another
create table other.made as select id, 'x' as town, email from shop.customers
alter table other.made alter column id type bigint, alter column town type text using lower(email)
--> exact / inferred / assumed | email | 40
select town from other.made
--> inferred / assumed | email | 40
select lower(town) from other.made
drop table other.made

-- one's own count
create aggregate other.count(text) (sfunc = textcat, stype = text, initcond = '')
--> inferred / assumed | email | 40
select other.count(email) from shop.customers
set search_path to other, public
--> assumed | email | 40
select count(email) from shop.customers
drop aggregate other.count(text)

-- a column that is generated, of the same row and of what is filled in
create table other.titled as select id, title from shop.reviews join (values (1, 'x')) as v (id, title) using (id)
alter table other.titled add column loud text generated always as (upper(title)) stored
--> innocent
select loud from other.titled
drop table other.titled
create table other.gen (raw text, v text generated always as (lower(raw)) stored)
insert into other.gen (raw) select email from shop.customers
--> exact / inferred / assumed | email | 40
select v from other.gen
drop table other.gen

-- filled by code
do $$ begin insert into shop.notes (body) select email from shop.customers; end $$
--> inferred / assumed | email | 40
select body from shop.notes
truncate shop.notes
create function other.filler() returns int language plpgsql as $$ begin insert into shop.notes (body) select email from shop.customers; return 1; end $$
create function other.filler2() returns int language sql as $$ insert into shop.notes (body) select email from shop.customers; select 1 $$
create function other.place() returns int language plpgsql as $$ begin if exists (select from shop.customers where id = 1) then insert into shop.notes (body) values ('x'); end if; return 1; end $$
select pg_sleep(5)
select other.filler()
--> inferred / assumed | email | 40
select body from shop.notes
truncate shop.notes
select count(other.filler2()) from shop.products where id = 1
--> inferred / assumed | email | 40
select body from shop.notes
truncate shop.notes
select other.place()
--> innocent
select body from shop.notes
truncate shop.notes
drop function other.filler(), other.filler2(), other.place()

-- what a migration makes and changes is its own
begin
create table other.orders2 (id int primary key, title text not null default lower('X'), at timestamptz default now())
alter table other.orders2 add column price int
create index on other.orders2 (price)
insert into other.orders2 (id, price) values (1, 2)
--> innocent
select id, title, price, now() from other.orders2
--> innocent
select count(*), max(price) from other.orders2
commit
--> innocent
select o.id, count(*) from other.orders2 o join shop.products p on p.id = o.id group by o.id
drop table other.orders2

-- views that change between two readings of the catalog
create table other.base as select id, email, city from shop.customers
create view other.over_base as select lower(city) as a, id from other.base
create view other.over_all as select lower(b.email) as e from other.base b
select pg_sleep(2)
select a from other.over_base
create or replace view other.over_base as select lower(email) as a, id from other.base
select pg_sleep(2)
--> inferred / assumed | email | 40
select a from other.over_base
alter table other.base rename column email to mail
select pg_sleep(2)
--> inferred / assumed | email | 40
select a from other.over_base
--> inferred / assumed | email | 40
select e from other.over_all
drop table other.base cascade

-- a table renamed by code that makes its statements as it runs
create function other.runs(what text) returns void language plpgsql as $$ begin execute what; end $$
select other.runs('alter table shop.customers rename to clients')
--> inferred / assumed | email | 40
select lower(email) from shop.clients
select pg_sleep(3)
--> inferred / assumed | email | 40
select lower(email) from shop.clients
select other.runs('alter table shop.clients rename to customers')
drop function other.runs(text)

-- the same in a transaction, in a block of code
begin
do $$ begin execute 'alter table shop.customers rename' || ' to clients'; end $$
select pg_sleep(3)
--> inferred / assumed | email | 40
select lower(email) from shop.clients
rollback

-- by code that has the statement in its body
create function other.renames() returns void language plpgsql as $$ begin alter table shop.customers rename to clients; end $$
create function other.renames_back() returns void language plpgsql as $$ begin alter table shop.clients rename to customers; end $$
select pg_sleep(3)
select other.renames()
--> inferred / assumed | email | 40
select upper(email) from shop.clients
select other.renames_back()
drop function other.renames()
drop function other.renames_back()
select pg_sleep(3)

-- a table renamed by code: what the result's columns are of, its OIDs say
create function other.runs(what text) returns void language plpgsql as $$ begin execute what; end $$
select pg_sleep(3)
select other.runs('alter table shop.products rename to goods')
--> innocent
select id, title from shop.goods order by id
--> innocent
select * from shop.goods g
select other.runs('alter table shop.goods rename to products')
select other.runs('alter table shop.customers rename to clients')
--> exact / inferred / assumed | email | 40
select email from shop.clients
select other.runs('alter table shop.clients rename to customers')
drop function other.runs(text)

-- a view that code renamed and replaced
create view other.plainly as select id, title from shop.products
create function other.runs(what text) returns void language plpgsql as $$ begin execute what; end $$
select pg_sleep(3)
select other.runs('alter view other.plainly rename to openly; create or replace view other.openly as select id, email as title from shop.customers')
--> inferred / assumed | email | 40
select title from other.openly
drop view other.openly
drop function other.runs(text)
