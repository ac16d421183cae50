-- before anything is in one
comment on table shop.products is 'what is sold'
--> innocent
select obj_description('shop.products'::regclass, 'pg_class')
--> innocent
select d.description from pg_catalog.pg_class c join pg_catalog.pg_description d on d.objoid = c.oid where c.relname = 'products'

-- code that executes, and has a column of that name
do $$ declare comment text; begin execute 'select 1' into comment; end $$
--> innocent
select obj_description('shop.products'::regclass, 'pg_class')

-- a comment that is a constant of the code
do $$ begin comment on table shop.products is 'what is for sale'; end $$
--> innocent
select obj_description('shop.products'::regclass, 'pg_class')

-- put together by a block of code
do $$ declare mails text; begin select string_agg(email, ',') into mails from shop.customers; execute format('comment on table shop.products is %L', mails); end $$
--> inferred / assumed | email | 40
select obj_description('shop.products'::regclass, 'pg_class')
--> inferred / assumed | email | 40
select d.description from pg_catalog.pg_class c join pg_catalog.pg_description d on d.objoid = c.oid where c.relname = 'products'
--> inferred / assumed | email | 1
select upper(description) from pg_description where objoid = 'shop.products'::regclass and objsubid = 0
--> inferred / assumed | email | 1
do $$ begin raise notice '%', obj_description('shop.products'::regclass, 'pg_class'); end $$

-- of a column, by a function, and shown by another
create function other.notes_it(what text) returns void language plpgsql as $$ begin execute 'comment on column shop.products.title is ' || quote_literal(what); end $$
create function other.noted() returns text language sql as $$ select col_description('shop.products'::regclass, 2) $$
select pg_sleep(3)
select other.notes_it(string_agg(phone, ',')) from shop.customers
--> inferred / assumed | phone | 1
select col_description('shop.products'::regclass, 2)
--> inferred / assumed | phone | 1
select other.noted()
drop function other.notes_it(text), other.noted()
comment on column shop.products.title is null
comment on table shop.products is null
