-- a name that is put into what a block of code executes
create table other.sink (v text)
do $$ begin execute format('insert into %I.%I select email from shop.customers', 'other', 'sink'); end $$
--> inferred / assumed | email | 40
select v from other.sink
select pg_sleep(3)
--> inferred / assumed | email | 40
select v from other.sink
drop table other.sink

-- in pieces
create table other.sink (v text)
do $$ begin execute 'insert into other.' || 'sink select ph' || 'one from shop.' || 'customers'; end $$
--> inferred / assumed | phone | 40
select v from other.sink
select pg_sleep(3)
--> inferred / assumed | phone | 40
select v from other.sink
drop table other.sink

-- a name that a function is given
create table other.sink (v text)
create function other.fills(target text) returns void language plpgsql as $$ begin execute 'insert into ' || target || ' select email from shop.customers'; end $$
create function other.fills_with(target text, what text) returns void language plpgsql as $$ begin execute 'insert into ' || target || ' values ($1)' using what; end $$
select pg_sleep(3)
select other.fills('other.sink')
--> inferred / assumed | email | 40
select v from other.sink
truncate other.sink
prepare fills(text) as select other.fills($1)
execute fills('other.sink')
--> inferred / assumed | email | 40
select v from other.sink
truncate other.sink
select other.fills_with('other.sink', phone) from shop.customers
--> inferred / assumed | phone | 40
select v from other.sink
drop function other.fills(text), other.fills_with(text, text)
drop table other.sink

-- the whole text that a function is given
create table other.sink (v text)
create function other.runs(what text) returns void language plpgsql as $$ begin execute what; end $$
select pg_sleep(3)
select other.runs('insert into other.sink select phone from shop.customers')
--> inferred / assumed | phone | 40
select v from other.sink
select other.runs('create table other.made as select email as v from shop.customers')
--> inferred / assumed | email | 40
select v from other.made
select pg_sleep(3)
--> inferred / assumed | email | 40
select v from other.made
drop function other.runs(text)
drop table other.sink, other.made

-- history that a trigger keeps, in a table that is its argument
create table other.history (id int, email text, at timestamptz)
create function other.keeps() returns trigger language plpgsql as $$ begin execute 'insert into ' || tg_argv[0] || ' select ($1).id, ($1).email, now()' using old; return new; end $$
create trigger keeps before update on shop.customers for each row execute function other.keeps('other.history')
select pg_sleep(3)
update shop.customers set city = city
--> inferred / assumed | email | 40
select email from other.history
drop trigger keeps on shop.customers
drop function other.keeps()
drop table other.history

-- by a trigger of a table that holds nobody's data
create table other.bell (id int)
create table other.sink (v text)
create function other.rings() returns trigger language plpgsql as $$ begin execute 'insert into other.sink select email from shop.customers'; return new; end $$
create trigger rings after insert on other.bell for each row execute function other.rings()
select pg_sleep(3)
insert into other.bell values (1)
--> inferred / assumed | email | 40
select v from other.sink
drop table other.bell, other.sink
drop function other.rings()

-- a comment whose words are cut in two
do $$ begin execute 'com' || 'ment on table shop.products is ' || quote_literal((select string_agg(email, ',') from shop.customers)); end $$
--> inferred / assumed | email | 40
select obj_description('shop.products'::regclass, 'pg_class')
comment on table shop.products is null

-- maintenance: partitions made ahead of time, by names that are put together; and a search that is put together
create table other.log (id int, at date) partition by range (at)
create function other.maintains(parent text, day date) returns void language plpgsql as $$ begin execute format('create table if not exists %s_%s partition of %s for values from (%L) to (%L)', parent, to_char(day, 'YYYYMMDD'), parent, day, day + 1); execute format('analyze %s', parent); end $$
create function other.finds(where_it_is text) returns setof int language plpgsql as $$ begin return query execute 'select c.id from shop.customers c join shop.orders o on o.customer_id = c.id where c.email like ''%7%'' and ' || where_it_is || ' for update of c'; end $$
create function other.counts_rows(what text) returns bigint language plpgsql as $$ declare n bigint; begin execute format('select count(*) from %s', what) into n; return n; end $$
select pg_sleep(3)
select other.maintains('other.log', date '2026-01-01')
select other.finds('o.id = 1')
select other.counts_rows('shop.customers')
select other.counts_rows('shop.products')
insert into other.log values (1, '2026-01-01')
select pg_sleep(3)
--> innocent
select id from other.log
--> innocent
select id, title from shop.products
--> innocent
select id, total, note from shop.orders
--> innocent
select id, city from shop.customers
select pg_sleep(6)
--> innocent
select id from other.log_20260101
drop function other.maintains(text, date), other.finds(text), other.counts_rows(text)
drop table other.log
