-- for somebody else's column
--> inferred | email | 40
select c.email from shop.orders o join shop.customers c on c.id = o.customer_id
--> exact | email, shop.orders.ship_to | 40
select o.customer_id, c.email, o.ship_to from shop.orders o join shop.customers c on c.id = o.customer_id
--> exact / inferred | email | 40
select email from shop.customers c join shop.orders o on o.customer_id = c.id
--> exact / inferred | email | 40
select email from shop.orders o left join shop.customers c on c.id = o.customer_id
--> exact / inferred | email | 40
select email from shop.customers natural join (select id from shop.orders where id <= 40) o
--> exact / inferred | email | 40
select email from shop.customers join shop.visits v on v.customer_id = id
--> exact / inferred / assumed | email, name, phone, my_number | 10
select * from shop.customers join shop.products using (id)
--> exact / inferred / assumed | email, name, phone, my_number | 10
select * from shop.customers natural join shop.products
--> exact / inferred / assumed | email | 40
select j.email from (shop.customers c join shop.orders o on o.customer_id = c.id) as j (id, name, email)
--> exact / inferred / assumed | email | 10 | from 14
select u.id, email from shop.customers join shop.products using (id) as u
--> exact / inferred | email, shop.staff.email | 5
select * from (select id, email from shop.customers) a full join (select id, email from shop.staff) b using (id, email) where id <= 5

-- with itself
--> inferred | email | 40
select a.email from shop.customers a, shop.customers b
--> inferred | email | 40
select a.email, b.city from shop.customers a join shop.customers b on a.city = b.city

-- multiplied
--> inferred | email | 40
select email from shop.customers, generate_series(1, 3)
--> inferred | email | 40
select email from shop.customers, (values (1), (2)) x
--> inferred | email | 40
select email from shop.customers union all select email from shop.customers
--> inferred | email | 40
select email, generate_series(1, 2) from shop.customers
--> inferred | email, shop.visits.ip | 40
select c.email, v.ip from shop.customers c join shop.visits v on v.customer_id = c.id
--> exact | shop.orders.ship_to | 40
select customer_id, ship_to from shop.orders
--> inferred | shop.orders.ship_to | 40
select ship_to from shop.orders

-- one person's key beside others' addresses counts nobody but its own
--> inferred | email | 40
select a.id, b.email from shop.customers a, shop.customers b where a.id = 1
--> inferred | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c, shop.orders o where c.id = 1
--> inferred | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c join shop.orders o on true where c.id = 1
--> inferred | email | 40
with c as (select * from shop.customers) select a.id, b.email from c a, c b where a.id = 1
--> inferred | email | 40
select o.customer_id, c.email from shop.orders o right join shop.customers c on c.id = o.customer_id and o.id = 1

-- joined by their keys, they are the same
--> exact | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c join shop.orders o on o.customer_id = c.id
--> exact | email, shop.orders.ship_to | 40
select c.id, c.email, o.ship_to from shop.customers c left join shop.orders o on (o.customer_id = c.id)
--> exact | email | 2
select a.id, a.email, b.id, b.email from shop.customers a join shop.customers b on b.id = a.id + 1 where a.id = 1

-- several people in one row
--> inferred | email | 3
select a.email, b.email, c.email from shop.customers a, shop.customers b, shop.customers c where a.id = 1 and b.id = 2 and c.id = 3
--> inferred | email | 2
select v.mail, c.email from shop.contacts v, shop.customers c where v.id = 1 and c.id = 2
--> inferred | email | 40
select v.mail, c.email from shop.contacts v join shop.customers c on c.id = v.id
--> inferred | email | 9
select t1.id, t1.email, t2.id, t2.email, t3.id, t3.email, t4.id, t4.email, t5.id, t5.email, t6.id, t6.email, t7.id, t7.email, t8.id, t8.email, t9.id, t9.email from shop.customers t1, shop.customers t2, shop.customers t3, shop.customers t4, shop.customers t5, shop.customers t6, shop.customers t7, shop.customers t8, shop.customers t9 where t1.id = 1 and t2.id = 2 and t3.id = 3 and t4.id = 4 and t5.id = 5 and t6.id = 6 and t7.id = 7 and t8.id = 8 and t9.id = 9

-- joined by a condition, among others, or over a table that shows nothing
--> exact | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c, shop.orders o where o.customer_id = c.id and o.id > 0
--> exact | email, shop.orders.ship_to | 40
select c.id, c.email, o.ship_to from shop.customers c left join shop.orders o on o.customer_id = c.id and (o.id > 0 or o.id < 0)
--> exact | shop.visits.ip | 40
select c.id, v.ip from shop.orders o, shop.customers c, shop.visits v where (c.id = o.customer_id and v.customer_id = o.customer_id)
--> exact | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c, lateral (select o.ship_to from shop.orders o where o.customer_id = c.id limit 1) o
--> inferred | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c, shop.orders o where c.id = 1 and (o.customer_id = c.id or o.id > 0)
--> inferred | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c, shop.orders o where c.id = 1 and (o.customer_id = c.id) is not null
--> inferred | email | 40
select o.customer_id, c.email from shop.customers c left join lateral (select o.customer_id from shop.orders o where o.customer_id = c.id and o.id = 1) o on true

-- joined by the condition of what is deleted
begin
--> exact | shop.orders.ship_to | 40
delete from shop.orders o using shop.customers c where c.id = o.customer_id returning c.id, o.ship_to
rollback

-- every row holds those before it
--> inferred / assumed | email | 40
with recursive t (n, v) as (select 1, (select email from shop.customers where id = 1) union all select n + 1, v || ' ' || (select email from shop.customers where id = n + 1) from t where n < 40) select v from t order by n desc limit 1

-- from one column to the next, in whatever order
--> inferred | email | 40
with recursive t (n, a, b, c) as (select 1, '', '', lower(email) from shop.customers union all select n + 1, b, c, c from t where n < 3) select a from t where n = 3
--> inferred | email | 40
with recursive later as (select v from first), first as (select lower(email) as v from shop.customers) select v from later

-- one of another table's rows for each
--> inferred | shop.orders.ship_to | 40 | no more
select c.id, (select o.ship_to from shop.orders o where o.customer_id = c.id and o.id % 2 = 0 limit 1) from shop.customers c

-- the name of a query elsewhere is a table's here
set search_path to shop
--> inferred | email | 40
select lower(c.email) from (with customers as (select 1 as a) select a from customers) x, shop.products p, customers c where p.id = 1
--> inferred | email | 40
with x as (with customers as (select 1 as a) select a from customers), y as (select lower(email) as v from customers) select y.v from x, y, shop.products p where p.id = 1

-- what orders the rows of a query that reads itself holds what it is ordered by
--> assumed / inferred | email | 40 | from 14
with recursive t (n, v) as (select 1, lower(email) from shop.customers union all select n + 1, v from t where n < 2) search depth first by v set o select o from t where n = 2

-- joined in one of two that are put together
--> inferred | shop.orders.ship_to | 40
select c.id, x.s from shop.customers c, lateral (select o.ship_to as s from shop.orders o where o.customer_id = c.id union all select o.ship_to from shop.orders o) x where c.id = 1
--> inferred | email | 2
select c.email, d.email from shop.customers c join shop.customers d on d.id = c.id where c.id = 0 union all select c.email, d.email from shop.customers c, shop.customers d where c.id = 1 and d.id = 2
--> inferred | shop.orders.ship_to | 40 | no more
select c.id, x.s from shop.customers c, lateral (select o.ship_to as s from shop.orders o where o.customer_id = c.id and o.id % 2 = 0 union all select o.ship_to from shop.orders o where o.customer_id = c.id and o.id % 2 = 1) x

-- keys of people of whom nothing else is shown
--> inferred | email | 1
select a.id, b.id, b.email from shop.customers a, shop.customers b where b.id = 1
--> inferred | shop.visits.ip | 20
select c.id, v.ip from shop.customers c left join shop.visits v on v.customer_id = c.id and v.at < '2026-01-01'
--> exact | shop.visits.ip | 20
select c.id, v.ip from shop.customers c join shop.visits v on v.customer_id = c.id and v.at < '2026-01-01'

-- of whom there is one beside each, or perhaps none
--> inferred | email | 40
select x.customer_id, c.email from shop.customers c left join lateral (select o.customer_id from shop.products p join shop.orders o on o.customer_id = c.id and o.id < 3) x on true
--> exact | shop.visits.ip | 20
select c.id, x.ip from shop.customers c cross join lateral (select v.ip from shop.visits v where v.customer_id = c.id and v.at < '2026-01-01') x
--> inferred | shop.visits.ip | 20
select c.id, x.ip from shop.customers c left join lateral (select v.ip from shop.visits v where v.customer_id = c.id and v.at < '2026-01-01') x on true
--> inferred | shop.visits.ip | 10
select c.id, x.ip from shop.customers c cross join lateral (select v.ip from shop.visits v where v.customer_id = c.id and v.at < '2026-01-01') x right join shop.products p on p.id = c.id
--> inferred | email | 40
select y.customer_id, c.email from shop.customers c, lateral (select o.customer_id from shop.orders o where o.customer_id = c.id union all select o.customer_id from shop.orders o where o.id = 1) y
--> inferred | email | 40
select y.customer_id, c.email from shop.customers c, lateral (select max(o.customer_id) as customer_id from shop.orders o where o.customer_id = c.id and o.id < 3) y

-- joined by columns without a table's name
--> exact | email, shop.orders.ship_to | 40
select c.id, email, customer_id, ship_to from shop.orders o join shop.customers c on customer_id = c.id
--> exact | shop.orders.ship_to | 40
select c.id, ship_to from shop.orders o, shop.customers c where customer_id = c.id and o.id > 0
--> exact | email, shop.visits.ip | 40
select id, email, customer_id, ip from shop.visits, shop.customers where customer_id = id
--> exact | shop.orders.ship_to | 40
select c.id, o.ship_to from shop.customers c, lateral (select ship_to from shop.orders where customer_id = c.id limit 1) o
--> inferred | email, shop.visits.ip | 40 | no more
select email, ip from shop.visits, shop.customers where customer_id = id
--> inferred | email | 40
select customer_id, email from shop.customers c left join shop.orders o on customer_id = c.id and o.id = 1
--> inferred | email | 40
select x.customer_id, email from (select customer_id from shop.orders where id = 1 union all select id from shop.products where id < 0) x right join shop.customers c on customer_id = c.id

-- people of two tables, whose keys say nothing of each other
--> inferred | email, shop.staff.email | 45 | no more
select c.id, c.email, s.id, s.email from shop.customers c, shop.staff s
--> inferred | email, shop.staff.email | 45 | no more
select c.id, c.email, s.id, s.email from shop.customers c full join shop.staff s on false
--> inferred | shop.orders.ship_to, shop.staff.name | 43 | no more
select o.customer_id, o.ship_to, s.id, s.name from shop.orders o join shop.staff s on s.id = 1 + o.id % 3
--> inferred | shop.orders.ship_to, shop.staff.name | 10 | no more
select o.customer_id, o.ship_to, s.id, s.name from shop.orders o join shop.staff s on s.id = o.customer_id
--> exact | email, shop.orders.ship_to | 40
select c.id, c.email, o.customer_id, o.ship_to from shop.customers c, shop.orders o where o.id = 1
--> inferred | email, shop.staff.email | 2 | no more
select c.email, s.email from shop.customers c, shop.staff s where c.id = 7 and s.id = 1
--> inferred | email, shop.staff.email | 2 | no more
select c.id, c.email, s.email from shop.customers c, shop.staff s where c.id = 1 and s.id = 1
--> inferred | email, shop.staff.email | 10 | no more
select c.id, c.email, s.id, s.email from shop.customers c join shop.staff s on s.id = c.id
--> inferred | email, shop.staff.email | 10 | no more
select c.email, s.email from shop.customers c join shop.staff s using (id)
--> inferred | email, shop.visits.ip, shop.staff.email | 10
select c.id, c.email, v.customer_id, v.ip, s.id, s.email from shop.customers c, shop.visits v, shop.staff s where v.customer_id = c.id and s.id = v.customer_id
--> inferred | email, shop.visits.ip, shop.staff.email | 10 | no more
select c.email, v.ip, s.email from shop.customers c, shop.visits v, shop.staff s where v.customer_id = c.id and s.id = v.customer_id
--> inferred / assumed | email, shop.staff.email | 45 | no more
select json_agg(c.email), (select json_agg(s.email) from shop.staff s) from shop.customers c
--> exact | email, shop.visits.ip | 20
select c.id, c.email, v.customer_id, v.ip from shop.customers c, shop.visits v where v.customer_id = c.id and v.at < '2026-01-01'
