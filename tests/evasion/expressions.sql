-- functions of the value
--> inferred | email | 40
select lower(email) from shop.customers
--> inferred | email | 40
select email || '' from shop.customers
--> inferred | email | 40
select concat(city, email) from shop.customers
--> inferred | email, phone | 40
select format('%s %s', email, phone) from shop.customers
--> inferred | email | 40
select reverse(email) from shop.customers
--> inferred | email | 40
select md5(email) from shop.customers
--> inferred | email | 40
select encode(convert_to(email, 'UTF8'), 'base64') from shop.customers
--> inferred | email | 40
select encode(sha256(email::bytea), 'hex') from shop.customers
--> inferred | email | 40
select substring(email from 1 for 3) from shop.customers
--> inferred | email | 40
select substr(email, 1, 3), substr(email, 4) from shop.customers
--> inferred | email | 40
select left(email, 5) from shop.customers
--> inferred | email | 40
select overlay(email placing 'x' from 1 for 1) from shop.customers
--> inferred | email | 40
select trim(both 'x' from email) from shop.customers
--> inferred | email | 40
select position('@' in email) from shop.customers
--> inferred | email | 40
select split_part(email, '@', 1) from shop.customers
--> inferred | email | 40
select regexp_replace(email, '(.)', '\1') from shop.customers
--> inferred | email | 40
select translate(email, 'a', 'b') from shop.customers
--> inferred | email | 40
select ascii(email) from shop.customers
--> inferred | email | 40
select quote_literal(email) from shop.customers

-- a cast
--> exact / inferred | email | 40
select email::varchar from shop.customers
--> inferred | email | 40
select cast(email as bytea) from shop.customers
--> inferred | my_number | 40
select my_number::bigint + 1 from shop.customers
--> exact / inferred | email | 40
select email::shop.address from shop.customers

-- choices
--> inferred | email | 40
select case when true then email end from shop.customers
--> inferred | email | 40
select case email when 'x' then 'y' else 'z' end from shop.customers
--> inferred | email | 40
select coalesce(email, 'none') from shop.customers
--> inferred | email | 40
select nullif(email, '') from shop.customers
--> inferred | email, phone | 40
select greatest(email, phone) from shop.customers

-- whether it is so
--> inferred | email | 40
select email like 'p%' from shop.customers
--> inferred | email | 40
select email ~ '^p' from shop.customers
--> inferred | email | 40
select email > 'm' from shop.customers
--> inferred | email | 40
select email in ('a', 'b') from shop.customers
--> inferred | email | 40
select email is null from shop.customers
--> inferred | email | 40
select email between 'a' and 'z' from shop.customers
--> inferred | email | 40
select 'x' = any (array[email]) from shop.customers
--> inferred | email | 40
select email similar to 'p%' from shop.customers
--> inferred | email | 40
select (email, 1) = ('a', 1) from shop.customers

-- rows, arrays, json, xml
--> inferred | email | 40
select row(email) from shop.customers
--> inferred | email | 40
select (email, city) from shop.customers
--> inferred | email | 40
select array[email] from shop.customers
--> inferred | email | 40
select (array[email])[1] from shop.customers
--> inferred | email | 40
select json_build_object('a', email) from shop.customers
--> inferred | email | 40
select jsonb_build_array(email) -> 0 from shop.customers
--> inferred | name, email, phone, my_number | 40
select to_jsonb(c) from shop.customers c
--> inferred | name, email, phone, my_number | 40
select row_to_json(c) from shop.customers c
--> inferred | name, email, phone, my_number | 40
select to_jsonb(c) - 'email' from shop.customers c
--> inferred / assumed | email | 40
select xmlelement(name a, email) from shop.customers
--> inferred / assumed | email | 40
select xmlforest(email) from shop.customers
--> inferred / assumed | email | 40 | from 16
select json_object('a': email) from shop.customers
--> inferred / assumed | email | 40 | from 16
select json_array(email) from shop.customers
--> inferred | email | 40
select row(1, email)::shop.pair from shop.customers
--> inferred | email | 40
select email collate "C" from shop.customers
--> inferred | email | 40
select (email) from shop.customers where false union all select (email) || '' from shop.customers
--> inferred | email | 40
select lower(upper(lower(email))) from shop.customers
--> inferred | email | 40
select pg_catalog.lower(email) from shop.customers
--> inferred | email | 40
select regexp_split_to_table(email, '@') from shop.customers where id <= 40
--> inferred | email | 40
select unnest(array[email]) from shop.customers
--> inferred | email | 40
select email operator(pg_catalog.||) 'x' from shop.customers
--> inferred | email | 40
select -length(email) from shop.customers
