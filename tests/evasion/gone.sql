-- What code filled that is gone by now, and what inherited until a moment ago: it holds what it held. All is laid first, the catalog is read, all is
-- filled and what filled it is dropped, the catalog is read again.
create table other.row_wise (v text)
create function other.changed() returns trigger language plpgsql as $$ begin insert into other.row_wise values (new.email); return new; end $$
create trigger changed after update on shop.customers for each row execute function other.changed()
create table other.defaulted (id int, v text default shop.email_of(3))
create table other.bell (id int)
create table other.ruled (v text)
create rule rings as on insert to other.bell do also insert into other.ruled select email from shop.customers
create table other.called (v text)
create function other.takes() returns int language plpgsql as $$ begin insert into other.called select email from shop.customers; return 1; end $$
create table other.calls (id int, k int default other.takes())
create table other.assigned (id int, v text)
create function other.own() returns trigger language plpgsql as $$ begin new.v := shop.email_of(new.id); return new; end $$
create trigger own before insert on other.assigned for each row execute function other.own()
create function other.says(int) returns text language sql as 'select email from shop.customers where id = $1'
create materialized view other.kept as select other.says(3) as v
create table other.copy as select email as v from shop.customers
create materialized view other.kept_copy as select v from other.copy
create view other.over as select id, email as v from shop.customers
create materialized view other.kept_over as select v from other.over
create table other.whole (id int, v text) partition by range (id)
create table other.part partition of other.whole for values from (0) to (100)
insert into other.whole select id, email from shop.customers
create table other.whole_too (id int, v text) partition by range (id)
create table other.part_too partition of other.whole_too for values from (0) to (100)
create table other.door (id int)
create function other.opens() returns trigger language plpgsql as $$ begin insert into other.whole_too select id, email from shop.customers; return new; end $$
create trigger opens after insert on other.door for each row execute function other.opens()
select pg_sleep(3)
--> exact / inferred / assumed | other.part.v | 40
select v from other.part
update shop.customers set city = city
insert into other.defaulted (id) values (1)
insert into other.bell values (1)
insert into other.calls (id) values (1)
insert into other.assigned (id) values (1)
insert into other.door values (1)
drop trigger changed on shop.customers
drop function other.changed()
alter table other.defaulted alter column v drop default
drop table other.bell, other.calls, other.door
drop function other.takes(), other.opens()
drop trigger own on other.assigned
drop function other.own()
create or replace function other.says(int) returns text language sql as 'select ''nobody'''
truncate other.copy
create or replace view other.over as select id, ''::text as v from shop.customers
alter table other.whole detach partition other.part
alter table other.whole_too detach partition other.part_too
select pg_sleep(3)

-- by a trigger
--> inferred / assumed | email | 40
select v from other.row_wise

-- by a default
--> inferred / assumed | email | 1
select v from other.defaulted

-- by a rule
--> inferred / assumed | email | 40
select v from other.ruled

-- by a default's function that writes elsewhere
--> inferred / assumed | email | 40
select v from other.called

-- by the row's own trigger
--> inferred / assumed | email | 1
select v from other.assigned

-- by what a materialised view calls, which says something else since
--> inferred / assumed | email | 1
select v from other.kept

-- by a materialised view over what is emptied since
--> inferred / assumed | email | 40
select v from other.kept_copy

-- by a materialised view over a view that is another since; of which of its columns is not told
--> inferred / assumed | email, my_number, name, phone | 40
select v from other.kept_over

-- by a partition that is detached
--> inferred / assumed | other.part.v | 40
select v from other.part

-- by a partition of what code filled
--> inferred / assumed | other.part_too.v | 40
select v from other.part_too

-- and once they are emptied, nothing
truncate other.row_wise, other.defaulted, other.ruled, other.assigned, other.part
select pg_sleep(3)
--> innocent
select v from other.row_wise
--> innocent
select v from other.defaulted
--> innocent
select v from other.ruled
--> innocent
select v from other.assigned
--> innocent
select v from other.part
drop materialized view other.kept
drop table other.row_wise, other.defaulted, other.ruled, other.called, other.assigned, other.whole, other.part, other.whole_too, other.part_too
drop function other.says(int)
