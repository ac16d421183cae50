-- derived tables
--> exact | email | 40
select email from (select * from shop.customers) x
--> exact | email | 40
select y from (select x as y from (select email as x from shop.customers) a) b
--> exact | email | 40
select * from (select email from shop.customers) as t (renamed)
--> inferred | email | 40
select x.l from (select lower(email) l from shop.customers) x
--> inferred / assumed | name, email, phone, my_number | 40
select x from (select * from shop.customers) x
--> inferred | email | 40
select v from (select city as v from shop.customers where false union all select email from shop.customers) x
--> inferred | email | 1
select (select email from shop.customers limit 1)
--> inferred | email | 1
select 1 where false union all select (select length(email) from shop.customers limit 1)
--> inferred | email | 40
select (select c.email) from shop.customers c
--> inferred | email | 40
select (select email from shop.customers k where k.id = o.customer_id) from shop.orders o

-- CTEs
--> exact | email | 40
with c as (select email from shop.customers) select * from c
--> exact | email | 40
with c (x) as (select email from shop.customers) select x from c
--> exact | email | 40
with a as (select * from shop.customers), b as (select * from a) select email from b
--> exact | email | 40
with c as materialized (select email from shop.customers) select * from c
--> inferred | email | 40
with recursive r (n, e) as (select 1, email from shop.customers union all select n + 1, e from r where n < 1) select e from r
--> exact | email | 40
with products as (select email as title from shop.customers) select title from products
--> exact | email | 40
with x as (with y as (select email from shop.customers) select * from y) select * from x
--> exact | email | 40
with customers as (select email from shop.customers) select * from customers
--> exact / inferred | name, email, phone, my_number | 40
with c as (table shop.customers) table c
--> exact / inferred | email | 40
select email from (with c as (select 1) select email from shop.customers, c) z

-- set operations
--> inferred | email | 40
select title from shop.products where false union all select email from shop.customers
--> inferred | email, shop.staff.email | 45
select email from shop.customers union select email from shop.staff
--> inferred | email | 40
select email from shop.customers intersect select email from shop.customers
--> exact / inferred | email | 40
select email from shop.customers except select title from shop.products
--> inferred | email, phone | 40
(select email from shop.customers) union (select phone from shop.customers)

-- LATERAL
--> exact / inferred | email | 40
select l.email from shop.products p, lateral (select email from shop.customers) l where p.id = 1
--> inferred | email | 40
select x.e from shop.customers c cross join lateral (values (c.email)) x (e)
--> exact / inferred | email | 40
select l.e from shop.customers c, lateral (select c.email as e) l
--> inferred | email | 40
select f from shop.customers c, lateral upper(c.email) f
--> inferred | email | 40
select j.value from shop.customers c, jsonb_each_text(jsonb_build_object('a', c.email)) j
--> inferred | name, email, phone, my_number | 40
select j.value from shop.customers c, jsonb_each_text(to_jsonb(c)) j
--> inferred | email | 40
select u from shop.customers c, unnest(array[c.email]) u
--> inferred / assumed | email | 40
select u.* from shop.customers c, rows from (unnest(array[c.email]), unnest(array[1])) u
--> inferred / assumed | email | 40 | from 17
select x.* from shop.customers c, json_table(to_json(c.email), '$' columns (e text path '$')) x

-- VALUES and places where nobody looks
--> inferred | email | 1
values ((select email from shop.customers limit 1))
--> inferred | email | 1
select 1, (values ((select email from shop.customers limit 1)))
--> inferred | email | 1
select exists (select 1), (select max(email) from shop.customers)
--> inferred | email | 40
select id, email = (select 'x') from shop.customers
--> innocent
select id from shop.products where title in (select email from shop.customers)
--> inferred | email | 10
select title in (select email from shop.customers) from shop.products
--> inferred | email | 10
select title = any (select email from shop.customers) from shop.products
--> innocent
select exists (select 1 from shop.customers where email like 'person1%')
--> innocent
select count(*) filter (where email like 'p%') from shop.customers where id = 1

-- several people in one row
--> inferred | email | 4
select (select email from shop.customers where id = 1), (select email from shop.customers where id = 2), (select email from shop.customers where id = 3), (select email from shop.customers where id = 4)

-- a column of the query around, where the one within lacks it
--> inferred | email | 40
select (select email from (select 1) as one) from shop.customers
--> inferred | email | 40
select (select (c).email from shop.orders limit 1) from shop.customers c
--> inferred | email | 40
select (select upper(mail) from shop.products limit 1) from (select email as mail from shop.customers) c
--> inferred | shop.staff.email | 1
select (select email from shop.staff limit 1) from shop.customers where id = 1

-- a name of the query around, which a table here has under another name
--> assumed | shop.staff.name | 5
select (select lower(name) from shop.everyone as e (u, other) where u = 1) from shop.staff b
--> inferred / assumed | shop.staff.name | 5
select (select lower(name) from (select * from shop.everyone) as e (u, other) where u = 1) from shop.staff b
