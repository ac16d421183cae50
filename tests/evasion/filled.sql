-- a function that writes what it is given
create table other.taken (v text)
create function other.puts(text) returns void language plpgsql as $$ begin insert into other.taken values ($1); end $$
create function other.puts_too(text) returns void language sql as $$ insert into other.taken values ($1) $$
create function other.passes_on() returns void language plpgsql as $$ declare r record; begin for r in select phone from shop.customers loop perform other.puts(r.phone); end loop; end $$
select pg_sleep(3)
select other.puts(email) from shop.customers
--> inferred / assumed | email | 40
select v from other.taken
truncate other.taken
select count(other.puts_too(c.phone)) from shop.customers c
--> inferred / assumed | phone | 40
select v from other.taken
truncate other.taken
select other.puts(c::text) from shop.customers c
--> inferred / assumed | name, email, phone, my_number | 40
select v from other.taken
truncate other.taken
select other.puts(x.e) from (select email as e from shop.customers) x
--> inferred / assumed | email | 40
select v from other.taken
truncate other.taken
select other.passes_on()
--> inferred / assumed | phone | 40
select v from other.taken
truncate other.taken
select pg_sleep(3)
select other.puts(city), email from shop.customers
select other.puts('x'), email from shop.customers
--> innocent
select v from other.taken
drop function other.puts(text), other.puts_too(text), other.passes_on()
drop table other.taken

-- a function in FROM, an aggregate and an operator
create table other.taken (v text)
create function other.puts(text) returns int language sql as $$ insert into other.taken values ($1) returning 1 $$
create function other.step(int, text) returns int language plpgsql as $$ begin insert into other.taken values ($2); return 1; end $$
create aggregate other.keeps(text) (sfunc = other.step, stype = int, initcond = '0')
create function other.peeks(int, int) returns int language plpgsql as $$ begin insert into other.taken select email from shop.customers; return 1; end $$
create operator other.#> (leftarg = int, rightarg = int, function = other.peeks)
select pg_sleep(3)
select count(*) from shop.customers c, lateral other.puts(c.phone)
--> inferred / assumed | phone | 40
select v from other.taken
truncate other.taken
select other.keeps(name) from shop.customers
--> inferred / assumed | name | 40
select v from other.taken
truncate other.taken
select 1 operator(other.#>) 2
--> inferred / assumed | email | 40
select v from other.taken
drop operator other.#> (int, int)
drop aggregate other.keeps(text)
drop function other.puts(text), other.step(int, text), other.peeks(int, int)
drop table other.taken

-- by a trigger of a table that holds nobody's data
create table other.bell (id int)
create table other.taken (v text)
create function other.rings() returns trigger language plpgsql as $$ begin insert into other.taken select email from shop.customers; return new; end $$
create trigger rings after insert on other.bell for each row execute function other.rings()
select pg_sleep(3)
insert into other.bell values (1)
--> inferred / assumed | email | 40
select v from other.taken
drop table other.bell, other.taken
drop function other.rings()

-- by a rule of such a table
create table other.bell (id int)
create table other.taken (v text)
create rule rings as on insert to other.bell do also insert into other.taken select email from shop.customers
select pg_sleep(3)
insert into other.bell values (1)
--> inferred / assumed | email | 40
select v from other.taken
drop table other.bell, other.taken

-- by a default, and by a constraint
create table other.taken (v text)
create table other.taken_too (v text)
create function other.takes() returns int language plpgsql as $$ begin insert into other.taken select email from shop.customers; return 1; end $$
create function other.takes_too(int) returns boolean language plpgsql as $$ begin insert into other.taken_too select phone from shop.customers; return true; end $$
create table other.bell (id int check (other.takes_too(id)), k int default other.takes())
select pg_sleep(3)
insert into other.bell (id) values (1)
--> inferred / assumed | email | 40
select v from other.taken
--> inferred / assumed | phone | 40
select v from other.taken_too
drop table other.bell, other.taken, other.taken_too
drop function other.takes(), other.takes_too(int)

-- by a trigger that has a function write the row
create table other.taken (v text)
create table other.log (id int, what text)
create function other.puts(text) returns void language plpgsql as $$ begin insert into other.taken values ($1); end $$
create function other.logs(int, text) returns void language plpgsql as $$ begin insert into other.log values ($1, $2); end $$
create function other.changed() returns trigger language plpgsql as $$ begin perform other.puts(new.email); perform other.logs(new.id, 'changed'); return new; end $$
create trigger changed after update on shop.customers for each row execute function other.changed()
create function other.ordered() returns trigger language plpgsql as $$ begin perform other.logs(new.id, new.note); return new; end $$
create trigger ordered after update on shop.orders for each row execute function other.ordered()
select pg_sleep(3)
update shop.customers set city = city
--> inferred / assumed | email | 40
select v from other.taken
drop trigger changed on shop.customers
drop function other.changed()
select pg_sleep(3)
truncate other.log
select pg_sleep(3)
update shop.orders set total = total where id = 1
--> innocent
select id, what from other.log
drop trigger ordered on shop.orders
drop function other.ordered(), other.puts(text), other.logs(int, text)
drop table other.taken, other.log

-- by what a table is rewritten with
create table other.rewritten (id int, v text)
insert into other.rewritten select id, '' from generate_series(1, 40) id
alter table other.rewritten alter column v type text using shop.email_of(id)
--> inferred / assumed | email | 40
select v from other.rewritten
select pg_sleep(3)
--> inferred / assumed | email | 40
select v from other.rewritten
alter table other.rewritten add column w text default shop.phone_of(7)
--> inferred / assumed | email, phone | 1
select w from other.rewritten
drop table other.rewritten

-- by a function that the catalog has not seen yet
create table other.taken (v text)
select pg_sleep(3)
create function other.quick() returns void language plpgsql as $$ begin insert into other.taken select email from shop.customers; end $$
select other.quick()
--> inferred / assumed | email | 40
select v from other.taken
select pg_sleep(3)
--> inferred / assumed | email | 40
select v from other.taken
drop function other.quick()
drop table other.taken

-- by a trigger and a rule that are gone before it sees them
create table other.taken (v text)
create table other.bell (id int)
select pg_sleep(3)
begin
create function other.rings() returns trigger language plpgsql as $$ begin insert into other.taken select email from shop.customers; return new; end $$
create trigger rings after insert on other.bell for each row execute function other.rings()
create rule rings as on update to other.bell do also insert into other.taken select phone from shop.customers
insert into other.bell values (1)
update other.bell set id = 2
drop rule rings on other.bell
drop trigger rings on other.bell
drop function other.rings()
commit
--> inferred / assumed | email, phone | 80
select v from other.taken
select pg_sleep(3)
--> inferred / assumed | email, phone | 80
select v from other.taken
drop table other.bell, other.taken

-- through a view
create table other.behind (v text)
create view other.before as select v from other.behind
create view other.door as select 1 as id, ''::text as v
create table other.taken (v text)
create function other.opens() returns trigger language plpgsql as $$ begin insert into other.taken values (new.v); return new; end $$
create trigger opens instead of insert on other.door for each row execute function other.opens()
select pg_sleep(3)
insert into other.before select email from shop.customers
--> inferred / assumed | email | 40
select v from other.behind
insert into other.door select id, phone from shop.customers
select pg_sleep(3)
--> inferred / assumed | email | 40
select v from other.behind
--> inferred / assumed | phone | 40
select v from other.taken
drop view other.before, other.door
drop function other.opens()
drop table other.behind, other.taken

-- by a foreign key that follows its table
create table other.keys (email text primary key)
create table other.following (email text unique references other.keys on update cascade, own text unique)
create table other.last (email text references other.following (email) on update cascade, more text unique, upon text generated always as (email || '!') stored)
alter table other.following add foreign key (own) references other.last (more) on update cascade
insert into other.keys select 'x' || i from generate_series(1, 40) i
insert into other.following select email from other.keys
insert into other.last select email from other.keys
select pg_sleep(3)
update other.keys k set email = c.email from shop.customers c where k.email = 'x' || c.id
select pg_sleep(3)
--> inferred / assumed | email | 40
select email from other.following
--> inferred / assumed | email | 40
select email from other.last
--> inferred / assumed | email | 40
select upon from other.last
drop table other.last, other.following, other.keys cascade

-- many people in one value of a view, or of a table
create view other.all_in_one as select string_agg(email, ',') as v from shop.customers
create table other.one (v text)
create table other.one_too (v text)
--> inferred / assumed | email | 40
select v from other.all_in_one
insert into other.one select string_agg(phone, ',') from shop.customers
--> inferred / assumed | phone | 40
select v from other.one
do $$ begin insert into other.one_too select array_agg(email)::text from shop.customers; end $$
--> inferred / assumed | email | 40
select v from other.one_too
select pg_sleep(3)
--> inferred / assumed | email | 40
select v from other.all_in_one
--> inferred / assumed | phone | 40
select v from other.one
--> inferred / assumed | email | 40
select v from other.one_too
drop view other.all_in_one
drop table other.one, other.one_too

-- renamed or attached before the catalog is read
create table other.vague (v text)
insert into other.vague select email from shop.customers
alter table other.vague rename to renamed
--> inferred / assumed | email | 40
select v from other.renamed
create table other.whole (v text) partition by list (v)
alter table other.whole attach partition other.renamed default
--> inferred / assumed | email | 40
select v from other.whole
drop table other.whole
create table other.child (v text)
insert into other.child select phone from shop.customers
create table other.parent (v text)
alter table other.child inherit other.parent
--> inferred / assumed | phone | 40
select v from other.parent
drop table other.child, other.parent

-- by a default that is one of PostgreSQL's own functions, which leaves no trace in its dependencies; of a domain, too
create table other.as_xml (id int, v xml default query_to_xml('select email from shop.customers', true, false, ''))
create domain other.whole as text default table_to_xml('shop.customers', true, false, '')::text
create table other.of_domain (id int, v other.whole)
create table other.dated (id serial, at timestamptz default now(), v text default upper('x') || current_user)
select pg_sleep(3)
insert into other.as_xml (id) values (1)
insert into other.of_domain (id) values (1)
insert into other.dated (id) values (1)
--> assumed | name, email, phone, my_number | 40
select v from other.as_xml
--> assumed | name, email, phone, my_number | 40
select v from other.of_domain
--> innocent
select id, at, v from other.dated
drop table other.as_xml, other.of_domain, other.dated
drop domain other.whole

-- a trigger puts what it names of its row into another table, all of it where it takes that as a whole, and nothing else
create table other.touched (id int, at timestamptz)
create table other.touches (at timestamptz)
create table other.mailed (v text)
create table other.starred (id int, v text)
create table other.at_once (v text)
create function other.touch() returns trigger language plpgsql as $$ begin insert into other.touched values (new.id, now()); insert into other.touches values (now()); return new; end $$
create function other.mail() returns trigger language plpgsql as $$ begin insert into other.mailed values (new.email); return new; end $$
create function other.star() returns trigger language plpgsql as $$ begin insert into other.starred select x.a, x.c from (select new.*) x (a, b, c, d, e, f, g); return new; end $$
create function other.once() returns trigger language plpgsql as $$ begin insert into other.at_once select x.c from fresh x (a, b, c, d, e, f, g); return null; end $$
create trigger touch after update on shop.customers for each row execute function other.touch()
create trigger mail after update on shop.customers for each row execute function other.mail()
create trigger star after update on shop.customers for each row execute function other.star()
create trigger once after update on shop.customers referencing new table as fresh for each statement execute function other.once()
select pg_sleep(3)
update shop.customers set city = city
--> innocent
select id, at from other.touched
--> innocent
select at from other.touches
--> inferred / assumed | email | 40
select v from other.mailed
--> assumed | name, email, phone, my_number | 40
select v from other.starred
--> assumed | name, email, phone, my_number | 40
select v from other.at_once
drop function other.touch(), other.mail(), other.star(), other.once() cascade
drop table other.touched, other.touches, other.mailed, other.starred, other.at_once

-- a row as a whole, by its name or the one that it goes by, in code that fills
create table other.rows (v text)
create function other.takes_rows() returns void language plpgsql as $$ begin insert into other.rows select c::text from shop.customers c; end $$
create function other.takes_columns() returns void language plpgsql as $$ begin insert into other.rows select x.d from (table shop.customers) x (a, b, c, d, e, f, g); end $$
select pg_sleep(3)
select other.takes_rows()
--> inferred / assumed | name, email, phone, my_number | 40
select v from other.rows
truncate other.rows
select other.takes_columns()
--> inferred / assumed | phone | 40
select v from other.rows
truncate other.rows
do $$ begin insert into other.rows select customers::text from shop.customers; end $$
--> inferred / assumed | name, email, phone, my_number | 40
select v from other.rows
drop function other.takes_rows(), other.takes_columns()
drop table other.rows
