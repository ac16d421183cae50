-- the column as it stands
--> exact | email | 40
select email from shop.customers

-- under another label
--> exact | email | 40
select email as city from shop.customers

-- a star
--> exact | name, email, phone, my_number | 40
select * from shop.customers

-- a star of an alias
--> exact | name, email, phone, my_number | 40
select c.* from shop.customers c

-- a star beside another column
--> exact | name, email, phone, my_number | 40
select city, c.* from shop.customers c

-- with the subject in the result
--> exact | email | 3
select id, email from shop.customers where id <= 3

-- quoted
--> exact | email | 40
select "email" from "shop"."customers"

-- in capitals
--> exact | email | 40
SELECT EMAIL FROM SHOP.CUSTOMERS

-- with unicode escapes in the names
--> exact / inferred | email | 40
select U&"\0065mail" from shop.U&"c\0075stomers"

-- comments for blanks
--> exact | email | 40
select/**/email/*x*/from/* from shop.products */shop.customers--

-- nested comments
--> exact | email | 40
/* a /* b */ select 1 */ select email from shop.customers

-- without SELECT
--> exact | name, email, phone, my_number | 40
table shop.customers

-- ONLY, and its older spelling
--> exact / inferred | name | 40
select name from only shop.customers
--> exact / inferred | name | 40
select name from only (shop.customers)
--> exact / inferred | name | 40
select name from shop.customers *

-- three-part names
--> exact | email | 40
select shop.customers.email from shop.customers

-- a row as a whole
--> inferred | name, email, phone, my_number | 40
select c from shop.customers c

-- a row as a whole, by the table's name
--> inferred | name, email, phone, my_number | 40
select customers from shop.customers

-- a row as text
--> inferred | name, email, phone, my_number | 40
select c::text from shop.customers c

-- a field of a row
--> exact / inferred | email | 40
select (c).email from shop.customers c

-- functional notation
--> inferred / assumed | email | 40
select email(c) from shop.customers c

-- attribute notation for a function
--> inferred / assumed | name, email, phone, my_number | 40
select c.row_to_json from shop.customers c

-- a field's star
--> exact | name, email, phone, my_number | 40
select (c).* from shop.customers c
--> exact / inferred | email | 40
select x.email from (select (c).* from shop.customers c) x
--> assumed / inferred / exact | name, email, phone, my_number | 40
select (c.d).* from (select c as d from shop.customers c) c

-- sorted, cut, locked, sampled
--> exact | email | 5
select email from shop.customers order by id offset 1 limit 5
--> exact | email | 5
select email from shop.customers order by city fetch first 5 rows only
--> exact | email | 40
select email from shop.customers for update
--> exact | email | 40
select email from shop.customers tablesample system (100)
--> exact | email | 4
select distinct on (city) email from shop.customers order by city, id

-- distinct
--> exact / inferred | email | 40
select distinct email from shop.customers

-- the table under a list of column names
--> exact / inferred | email | 40
select c.c from shop.customers as c (a, b, c)

-- all of them under a list of column names
--> exact / inferred | name, email, phone, my_number | 40
select * from shop.customers as c (a, b, c)

-- classified by a comment
--> inferred | shop.reviews.body | 10
select body from shop.reviews

-- two tables that have one column name
--> inferred | shop.staff.email, email | 5
select c.email, s.email from shop.customers c join shop.staff s using (id) where s.id <= 5

-- several statements in one message
--> exact | email | 40 | simple
select 1\; select email from shop.customers\; select 2

-- in a failed transaction's shadow
begin
--> exact | email | 40
select email from shop.customers
rollback
