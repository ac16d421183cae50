-- RETURNING
--> exact / inferred | email | 40
update shop.customers set city = city returning email
--> exact / inferred | name, email, phone, my_number | 1
update shop.customers set city = city where id = 1 returning *
--> inferred | email | 40
update shop.customers set city = city returning lower(email)
--> exact / inferred | email | 10
update shop.products p set price = price from shop.customers c where p.id = 1 and c.id = 1 or p.id = c.id returning c.email, p.id
--> exact / inferred | email | 1
insert into shop.customers (id, email) values (1, 'x') on conflict (id) do update set city = 'City 1' returning email
--> exact / inferred | email | 1
insert into shop.customers as k (id, email) values (1, 'x') on conflict (id) do update set city = k.city returning k.email

-- RETURNING of a DELETE
begin
--> exact / inferred | shop.orders.ship_to | 40
delete from shop.orders returning ship_to
rollback

-- RETURNING of another table's rows
begin
--> exact / inferred | email | 40
delete from shop.orders o using shop.customers c where c.id = o.customer_id returning c.email
rollback

-- RETURNING in a CTE
--> inferred | email | 40
with u as (update shop.customers set city = city returning email) select * from u
--> inferred | email | 40
with u as (update shop.customers set city = city returning *) select lower(email) from u

-- MERGE
begin
--> innocent | from 15
merge into shop.products p using shop.customers c on c.id = p.id when matched then update set price = price
rollback

-- into another table and back at once
begin
--> inferred / assumed | email | 40
insert into shop.notes (body) select email from shop.customers returning body
--> inferred / assumed | email | 40
with w as (insert into shop.notes (body) select email from shop.customers returning body) select body from w
rollback

-- MERGE into a table of one's own, and back
begin
create table other.merged (id int, what text)
--> innocent | from 15
merge into other.merged m using shop.customers c on c.id = m.id when not matched then insert (id, what) values (c.id, c.email)
--> inferred / assumed | email | 40 | from 15
select what from other.merged
rollback

-- MERGE that updates from a query
begin
create table other.titles as select id, title from shop.products
--> innocent | from 15
merge into other.titles p using (select id, phone as p from shop.customers) c on c.id = p.id when matched then update set title = c.p
--> inferred / assumed | phone | 10 | from 15
select title from other.titles
rollback

-- MERGE's own rows
begin
create table other.titles as select id, title, price from shop.products
--> exact / inferred | email | 10 | from 17
merge into other.titles p using shop.customers c on c.id = p.id when matched then update set price = price returning c.email
--> inferred / assumed | email | 10 | from 17
with m as (merge into other.titles p using shop.customers c on c.id = p.id when matched then update set price = price returning c.email) select * from m
rollback

-- old and new rows
--> exact / inferred / assumed | email | 40 | from 18
update shop.customers set city = city returning old.email
--> inferred / assumed | email | 40 | from 18
update shop.customers set city = city returning lower(new.email), old.city
--> inferred / assumed | email | 40 | from 18
update shop.customers set city = city returning with (old as before) before.email

-- written within WITH, and read again
create table other.first (v text)
create table other.second (v text)
with a as (insert into other.first select email from shop.customers returning v) insert into other.second select v from a
--> inferred / assumed | email | 40
select v from other.second
copy (insert into other.second select phone from shop.customers returning 1) to stdout
--> inferred / assumed | email, phone | 80
select v from other.second
create table other.third as with a as (insert into other.first select name from shop.customers returning 1) select 1
--> inferred / assumed | email, name | 80
select v from other.first
drop table other.first, other.second, other.third

-- what RETURNING reads and calls
--> inferred | email | 1
insert into shop.notes (body) values ('x') returning (select email from shop.customers where id = 3)
--> inferred / assumed | email | 1
update shop.products set price = price where id = 1 returning shop.email_of(id)
--> innocent
select * from shop.products
--> inferred | phone | 1
with n as (insert into shop.notes (body) values ('x') returning id, (select phone from shop.customers where id = 3)) select * from n

-- what is written within WITH, in an expression
--> inferred / assumed | email | 40
with t as (insert into shop.notes (body) select email from shop.customers returning body) select lower(body) from t
insert into shop.notes (body) values ('x')
--> inferred / assumed | email | 1
with t as (update shop.notes n set body = c.email from shop.customers c where c.id = 1 and n.body = 'x' returning body) select upper(body) from t
