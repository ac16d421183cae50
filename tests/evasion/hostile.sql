-- deep nesting
--> exact / inferred / assumed | email | 40
select email from shop.customers where ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((id > 0))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))

-- subqueries within subqueries
--> exact / inferred / assumed | email | 40
select email from (select * from (select * from (select * from (select * from (select * from (select * from (select * from (select * from shop.customers) a) b) c) d) e) f) g) h

-- a chain that one parser must not see
--> exact / inferred / assumed | email | 40
select email from shop.customers where id > 0 @REPEAT 3000  or id = 0@

-- a long list
--> exact / inferred / assumed | email | 40
select email from shop.customers where id not in (0@REPEAT 20000 ,-1@)

-- a long comment before it
--> exact / inferred / assumed | email | 40
/*@REPEAT 100000 x@*/ select email from shop.customers

-- a statement beyond what is kept
--> assumed | email | 40
select '@REPEAT 1100000 x@' as filler, email from shop.customers

-- strings that look like more
--> exact / inferred | email | 40
select 'select 1; --', $$ from shop.products $$, email from shop.customers
--> exact / inferred | email | 40
select E'\' from shop.products --', email from shop.customers
--> innocent
select 'select email from shop.customers'
--> innocent
select $q$ email $q$ as email from shop.products

-- a column that is named as a table is
--> innocent
select customers.price from shop.products customers
--> innocent
select email.title as email from shop.products email
--> innocent
with customers as (select 1 as email) select email from customers

-- odd blanks
--> exact | email | 40
select	email	from	shop . customers	;

-- joined in the old way with the predicate away
--> exact / inferred | email | 40
select c.email from shop.customers c, shop.products p where p.id = 1

-- a trailing semicolon, an empty statement
--> exact | email | 40 | simple
\; \; select email from shop.customers\; \;
