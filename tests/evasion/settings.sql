-- another role
set role postgres
--> exact | email | 40
select email from shop.customers

-- the search path by SET
set search_path to shop, public
--> exact | email | 40
select email from customers
--> inferred | email | 40
select lower(email) from customers
reset search_path
set search_path = 'shop'
--> inferred | email | 40
select upper(email) from customers

-- by set_config
select set_config('search_path', 'shop', false)
--> inferred | email | 40
select lower(email) from customers

-- by set_config in a larger query
select set_config('search_path', n.p, false) from (select 'shop'::text as p) n
--> inferred / assumed | email | 40
select lower(email) from customers

-- SET LOCAL
begin
set local search_path to shop
--> inferred | email | 40
select lower(email) from customers
commit

-- a rolled back SET
set search_path to shop
begin
set search_path to other
rollback
--> inferred | email | 40
select lower(email) from customers

-- SET SCHEMA
set schema 'shop'
--> inferred | email | 40
select lower(email) from customers

-- by a function's own setting
create function pg_temp.moves() returns void language plpgsql as $$ begin perform set_config('search_path', 'shop', false); end $$
select pg_temp.moves()
--> inferred / assumed | email | 40
select lower(email) from customers

-- by DO
do $$ begin execute 'set search_path to shop'; end $$
--> inferred / assumed | email | 40
select lower(email) from customers

-- after RESET and DISCARD
set search_path to other
reset search_path
discard plans
set search_path to shop
--> inferred | email | 40
select lower(email) from customers

-- another table of the same name
set search_path to other, shop
--> innocent
select lower(email) from customers
--> inferred | name | 40
select lower(name) from shop.customers

-- another encoding
set client_encoding to 'LATIN1'
--> inferred | email | 40
select lower(email), '' from shop.customers

-- by pg_settings
update pg_settings set setting = 'shop' where name = 'search_path'
--> inferred / assumed | email | 40
select lower(email) from customers

-- a SET undone by a savepoint
set search_path to shop
begin
savepoint s
set search_path to other
rollback to savepoint s
--> inferred / assumed | email | 40
select lower(email) from customers
commit

-- strings with escapes
set standard_conforming_strings = off
--> inferred | email | 40
select '\'' || email || '\'' from shop.customers
--> inferred | email | 40
select '\\', upper(email), '\' from shop.products --' from shop.customers
--> innocent
select '\', email from shop.customers --'
reset standard_conforming_strings
--> inferred | email | 40
select '\', lower(email) from shop.customers --'

-- strings with escapes, by set_config and undone by a rollback
begin
select set_config('standard_conforming_strings', 'off', true)
--> inferred | email | 40
select '\\', lower(email), '\' from shop.products --' from shop.customers
rollback
--> innocent
select '\\', title, '\' from shop.products --' from shop.customers

-- strings with escapes in a block of code
set standard_conforming_strings = off
--> assumed | email | 40
do $$ declare x text := '\''; begin raise notice '%', (select string_agg(email, '\'') from shop.customers); end $$

-- escapes of Unicode
--> inferred / assumed | email | 40
select U&'\0041', lower(U&"\0065mail") from shop.customers
--> inferred / assumed | email | 40
select lower(U&"!0065mail" uescape '!') from shop.customers
--> exact / inferred | email | 40
select email from U&"sh\006fp".customers
--> inferred | email | 40
select E'\'' || lower(email) || E'\'' from shop.customers
