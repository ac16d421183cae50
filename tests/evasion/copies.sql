-- a table made from it
create table other.copied as select email as a, city as b from shop.customers
--> exact / inferred / assumed | email | 40
select a from other.copied
--> exact / inferred / assumed | email | 40
select * from other.copied
--> inferred / assumed | email | 40
select string_agg(a, ',') from other.copied
--> exact / inferred / assumed | email | 40
copy other.copied to stdout
drop table other.copied

-- SELECT INTO
select email as x into other.into_table from shop.customers
--> exact / inferred / assumed | email | 40
select x from other.into_table
drop table other.into_table

-- a temporary table
create temp table t_mine as select phone as p from shop.customers
--> exact / inferred / assumed | phone | 40
select p from t_mine
--> exact / inferred / assumed | phone | 40
select * from pg_temp.t_mine

-- a temporary table filled later
create temp table t_filled (x text)
insert into t_filled select email from shop.customers
--> exact / inferred / assumed | email | 40
select x from t_filled

-- a temporary table of a temporary table
create temp table t_one as select email as x from shop.customers
create temp table t_two as select x as y from t_one
--> exact / inferred / assumed | email | 40
select y from t_two

-- a table that was there, filled
insert into shop.notes (body) select email from shop.customers
--> exact / inferred / assumed | email | 40
select body from shop.notes
truncate shop.notes

-- a table that was there, updated
create table other.updated as select id, title from shop.products
update other.updated p set title = c.email from shop.customers c where c.id = p.id
--> exact / inferred / assumed | email | 10
select title from other.updated
--> innocent
select id from other.updated
drop table other.updated

-- a table like it
create table other.alike (like shop.customers)
insert into other.alike select * from shop.customers
--> exact / inferred / assumed | email | 40
select email from other.alike
drop table other.alike

-- a view made from it
create view other.seen as select email as x from shop.customers
--> exact / inferred / assumed | email | 40
select x from other.seen
drop view other.seen

-- a temporary view
create temp view v_mine as select lower(email) as x from shop.customers
--> exact / inferred / assumed | email | 40
select x from v_mine

-- a materialised view made from it
create materialized view other.kept as select email as x from shop.customers
--> exact / inferred / assumed | email | 40
select x from other.kept
drop materialized view other.kept

-- in a transaction that leaves nothing
begin
create table other.gone as select email as x from shop.customers
--> exact / inferred / assumed | email | 40
select x from other.gone
rollback

-- renamed
alter table shop.customers rename to clients
--> exact / inferred / assumed | email | 40
select email from shop.clients
--> inferred / assumed | email | 40
select lower(email) from shop.clients
alter table shop.clients rename to customers

-- moved to another schema
alter table shop.staff set schema other
--> exact / inferred / assumed | shop.staff.email | 5
select id, email from other.staff
alter table other.staff set schema shop

-- a column renamed
alter table shop.customers rename column email to plain
--> exact / inferred / assumed | email | 40
select plain from shop.customers
--> inferred / assumed | email | 40
select lower(plain) from shop.customers
alter table shop.customers rename column plain to email

-- a column added and filled
create table other.extended as select id from shop.products
alter table other.extended add column extra text
update other.extended p set extra = c.phone from shop.customers c where c.id = p.id
--> exact / inferred / assumed | phone | 10
select extra from other.extended
drop table other.extended

-- a partition cut off
create table other.cut (customer_id int, ip inet, at date)
insert into other.cut select * from shop.visits
--> exact / inferred / assumed | shop.visits.ip | 40
select ip from other.cut
drop table other.cut

-- by a trigger
update shop.customers set email = email where id <= 5
--> exact / inferred / assumed | email | 5
select what from shop.shadow
truncate shop.shadow

-- in a CTE that writes
with w as (insert into shop.notes (body) select email from shop.customers returning 1) select count(*) from w
--> exact / inferred / assumed | email | 40
select body from shop.notes
truncate shop.notes

-- by a prepared statement
prepare fill as insert into shop.notes (body) select phone from shop.customers
execute fill
--> exact / inferred / assumed | phone | 40
select body from shop.notes
truncate shop.notes

-- a view of a table that was filled
create view other.over_notes as select body from shop.notes
insert into shop.notes (body) select email from shop.customers
--> exact / inferred / assumed | email | 40
select body from other.over_notes
drop view other.over_notes
truncate shop.notes

-- a view of a table that was renamed
alter table shop.customers rename to clients
--> exact / inferred / assumed | email | 40
select mail from shop.contacts
--> inferred / assumed | email | 40
select lower(mail) from shop.contacts
alter table shop.clients rename to customers

-- a function over a table that was renamed
alter table shop.customers rename to clients
create function other.of_clients() returns setof text language sql as 'select email from shop.clients'
--> inferred / assumed | email | 40
select other.of_clients()
drop function other.of_clients()
alter table shop.clients rename to customers

-- taken out piece by piece
create temp table t_pieces (piece text)
insert into t_pieces select substr(email, 1, 5) from shop.customers
insert into t_pieces select substr(email, 6) from shop.customers
--> inferred / assumed | email | 40
select string_agg(piece, '') from t_pieces

-- through a CTE into a temporary table
create temp table t_cte as with c as (select email as x from shop.customers) select x from c
--> exact / inferred / assumed | email | 40
select x from t_cte

-- EXPLAIN ANALYZE that fills
create temp table t_explained (x text)
explain analyze insert into t_explained select email from shop.customers
--> exact / inferred / assumed | email | 40
select x from t_explained
