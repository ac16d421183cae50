-- all in one cell
--> inferred | email | 40
select string_agg(email, ',') from shop.customers
--> inferred | email | 40
select array_agg(email) from shop.customers
--> inferred | email | 40
select json_agg(email) from shop.customers
--> inferred | name, email, phone, my_number | 40
select json_agg(c) from shop.customers c
--> inferred | name, email, phone, my_number | 40
select jsonb_agg(to_jsonb(c)) from shop.customers c
--> inferred | email | 40
select json_object_agg(id, email) from shop.customers
--> inferred | email | 40
select jsonb_object_agg(id, email) from shop.customers
--> inferred / assumed | email | 40
select xmlagg(xmlelement(name a, email)) from shop.customers
--> inferred | email | 40
select array(select email from shop.customers)
--> inferred | email | 40
select array_to_string(array(select email from shop.customers), ',')
--> inferred | email | 40
select array_agg(distinct email order by email) from shop.customers
--> inferred | email | 40
select string_agg(email, ',') filter (where id > 0) from shop.customers
--> inferred | email | 40
select city, string_agg(email, ',') from shop.customers group by city
--> inferred | email | 40
select string_agg(email, ',') over () from shop.customers limit 1
--> inferred / assumed | email | 40 | from 16
select json_arrayagg(email) from shop.customers
--> inferred / assumed | email | 40 | from 16
select json_array(select email from shop.customers)
--> inferred | email | 40
select (select json_agg(x) from (select email from shop.customers) x)
--> inferred / assumed | email | 40
select shop.glue(email) from shop.customers

-- one of them
--> inferred | email | 1
select min(email) from shop.customers
--> inferred | email | 1
select max(email), city from shop.customers where id = 1 group by city
--> inferred | email | 1
select mode() within group (order by email) from shop.customers
--> inferred | email | 1
select percentile_disc(0.5) within group (order by email) from shop.customers
--> inferred | email | 1
select (array_agg(email))[1] from shop.customers where id = 1

-- windows
--> inferred | email | 40
select first_value(email) over (order by id) from shop.customers where id <= 40
--> inferred | email | 39
select lag(email) over (order by id) from shop.customers
--> inferred | email | 40
select max(email) over w from shop.customers window w as (partition by id)

-- groups
--> exact / inferred | email | 40
select email from shop.customers group by email
--> exact / inferred | email | 40
select email, count(*) from shop.customers group by 1
--> exact / inferred / assumed | email | 40
select email, city, count(*) from shop.customers group by grouping sets ((email), (city))
--> exact / inferred / assumed | email | 40
select email, count(*) from shop.customers group by rollup (email)
--> exact / inferred | email | 40
select email from shop.customers group by email having count(*) > 0

-- several people in one row
--> inferred | email, phone | 3
select min(email), max(email), min(phone), max(phone) from shop.customers
--> inferred | email | 3
select lag(email) over (order by id), email, lead(email) over (order by id) from shop.customers order by id offset 2 limit 1

-- one of several columns
--> inferred | name, my_number | 40
select string_agg(coalesce(name, my_number), ',') from shop.customers
--> inferred | name, email, phone | 40
select string_agg(case when phone is null then email else name end, ',') from shop.customers
--> assumed | name | 40
select string_agg(b, ',') from shop.customers as c (a, b, d)
--> inferred | email, name, phone, my_number | 40
select json_agg(c::text)::text from shop.customers c
