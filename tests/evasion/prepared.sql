-- prepared and executed
prepare p as select email from shop.customers
--> exact | email | 40
execute p

-- with a parameter
prepare p (int) as select id, email from shop.customers where id <= $1
--> exact | email | 4
execute p(4)

-- a name used again
prepare p as select title from shop.products
deallocate p
prepare p as select phone from shop.customers
--> exact | phone | 40
execute p

-- a harmless name for another statement
prepare count_products as select lower(email) from shop.customers
--> inferred | email | 40
execute count_products

-- under a quoted name
prepare "A b" as select email from shop.customers
--> exact | email | 40
execute "A b"

-- its plan, and what it runs
prepare p as select title from shop.products
--> innocent
explain execute p

-- changed underneath by another search path
set search_path to other
prepare p as select email from customers
--> innocent
execute p
set search_path to shop
--> exact / inferred | email | 40
execute p

-- into a table
prepare p as select email from shop.customers
create temp table t_executed as execute p
--> exact / inferred / assumed | email | 40
select * from t_executed
