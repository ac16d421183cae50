-- a cast that fails, of what is only filtered on
--> assumed | email | 1 | error
select id from shop.customers where email::int = 1
--> assumed | name | 1 | error
select id from shop.customers order by name::int
--> assumed | email | 1 | error
select count(*) from shop.customers where email::date > now()
--> assumed | email | 1 | error
select 1 from shop.products p where exists (select from shop.customers c where c.email::numeric = p.price)

-- a cast that fails in what is not returned
--> assumed | email | 1 | error
update shop.customers set city = (email::int)::text
--> assumed | phone | 1 | error
delete from shop.customers where phone::int = 1
--> assumed | email | 1 | error
insert into shop.products (id, title) select 100 + id, (email::int)::text from shop.customers
--> assumed | email | 1 | error
select id from shop.customers where email::json is not null
--> assumed | email | 1 | error
select id from shop.customers where email::uuid is not null
--> assumed | email | 1 | error
select id from shop.customers where email::inet is not null
--> assumed | email | 1 | error
select 1 from shop.customers where to_timestamp(email, 'YYYY') > now()
--> assumed | email | 1 | error
select 1 from shop.contacts where mail::int = 1

-- of a domain and of a type's own input
--> assumed | email | 1 | error
select id from shop.customers where ('(' || email || ')')::point is not null

-- the row that a constraint keeps out
--> assumed | name, email | 1 | error
update shop.customers set id = null where id = 7
--> assumed | name, email | 1 | error
insert into shop.customers (id, email) values (1, 'x') on conflict (id) do update set id = null

-- the row that a new constraint finds
begin
--> assumed | email | 1 | error
create unique index on shop.customers (left(email, 3))
rollback

-- the value that a changed type does not take
create table other.typed as select id, email from shop.customers
--> assumed | email | 1 | error
alter table other.typed alter column email type int using email::int
drop table other.typed

-- raised by a function
create function pg_temp.raises() returns int language plpgsql as $$ begin raise exception '%', (select string_agg(email, ',') from shop.customers); end $$
--> assumed | email | 1 | error
select pg_temp.raises()

-- in the detail, which no message shows
create function pg_temp.details() returns int language plpgsql as $$ begin raise exception 'no' using detail = (select string_agg(email, ',') from shop.customers); end $$
--> assumed | email | 40 | error
select pg_temp.details()

-- in the message of an assertion
--> assumed | email | 40 | error
do $$ begin assert false, (select string_agg(email, ',') from shop.customers); end $$

-- in the context of a statement that is put together
--> assumed | email | 40 | error
do $$ begin execute (select 'select nothing /* ' || string_agg(email, ',') || ' */ from nowhere' from shop.customers); end $$

-- of COPY
--> assumed | email | 1 | error
copy (select id from shop.customers where email::int = 1) to stdout

-- the client's own words, and what the server says of the text
--> innocent | error
select * from shop.customers where id = 'person1@example.com'
--> innocent | error
select nothing from shop.customers
--> innocent | error
select email from shop.customers where
--> innocent | error
insert into shop.customers (id, email) values (1, 'person1@example.com')
--> innocent | error
insert into shop.customers (id, email) values (null, 'person1@example.com')
--> innocent | error
insert into shop.orders (id, customer_id) values (900, 4711)
--> innocent | error
delete from shop.customers where id = 1
--> innocent | error
select 1 / 0 from shop.customers
--> innocent | error
drop table shop.customers
--> innocent | error
select title::int from shop.products
