-- Tables of every making, what hangs on them, and what the catalog says of them.
create schema shop; set search_path = shop, public;
create type mood as enum ('calm', 'cross'); create domain plz as text check (value ~ '^[0-9]{5}$');
create table customers (id int generated always as identity primary key, name text not null, zip plz, feels mood default 'calm',
  born date, tags text[], extra jsonb, check (name <> ''));
create index on customers using gin (extra); create unique index on customers (lower(name));
insert into customers (name, zip, born, tags, extra) values ('Ann', '10115', '1980-02-29', '{a,b}', '{"vip": true}'),
  ('Björn', '80331', null, '{}', null), ('千代', '01067', '1999-12-31', null, '{"n": [1, 2, {"x": null}]}') returning id, name;
insert into customers (name, zip) values ('Wrong', 'ABC'); insert into customers (name) values ('ANN'); insert into customers (id, name) values (1, 'Own');
create table orders (id bigserial, at timestamptz not null, customer int references customers on delete cascade, total numeric(10,2))
  partition by range (at);
create table orders_2025 partition of orders for values from ('2025-01-01') to ('2026-01-01');
create table orders_rest partition of orders default;
insert into orders (at, customer, total) select timestamptz '2025-06-01 12:00+00' + i * interval '40 days', 1 + i % 3, i * 1.25 from generate_series(1, 12) i;
insert into orders (at, customer, total) values (now(), 99, 1);
select tableoid::regclass, count(*), sum(total) from orders group by 1 order by 1;
create view totals as select c.name, sum(o.total) as total from customers c join orders o on o.customer = c.id group by c.name;
create materialized view frozen as select * from totals with no data; select * from frozen; refresh materialized view frozen;
select * from frozen order by name;
create rule no_delete as on delete to customers do instead nothing; delete from customers; drop rule no_delete on customers;
alter table customers enable row level security; create policy own on customers using (name <> 'Ann');
do $$ begin create role smoke_reader; exception when duplicate_object then null; end $$;
grant usage on schema shop to smoke_reader; grant select on customers to smoke_reader;
set role smoke_reader; select name from customers order by id; select * from orders; reset role;
\d customers
\d+ orders
\dt shop.*
\df no_such_function
\dT+ mood
alter table customers add column since date default '2020-01-01', drop column tags, alter column name type varchar(20);
alter table orders_2025 add constraint c check (total >= 0) not valid; alter table orders validate constraint no_such;
comment on table customers is 'who buys'; select obj_description('customers'::regclass);
explain (costs off) select * from orders where at < '2025-07-01';
create table copied (like customers including all); \d copied
drop table customers; drop table customers cascade; drop schema shop cascade;
revoke all on database postgres from smoke_reader;
