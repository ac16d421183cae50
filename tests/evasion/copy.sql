-- a table
--> exact | name, email, phone, my_number | 40
copy shop.customers to stdout

-- some columns
--> exact | email | 40
copy shop.customers (email) to stdout
--> exact | email, phone | 40
copy shop.customers (id, email, phone) to stdout with (format csv, header)
--> innocent
copy shop.customers (id, city) to stdout

-- in other forms
--> exact | email | 40
copy shop.customers (email) to stdout (format binary)
--> exact | email | 40
copy shop.customers (email) to stdout csv
--> exact | email | 40
copy shop.customers (email) to stdout with delimiter '|'

-- a query
--> exact / inferred | email | 40
copy (select email from shop.customers) to stdout
--> inferred | email | 40
copy (select lower(email) from shop.customers) to stdout
--> exact / inferred | name, email, phone, my_number | 40
copy (table shop.customers) to stdout
--> exact / inferred | email | 40
copy (with c as (select email from shop.customers) select * from c) to stdout
--> inferred | email | 40
copy (select json_agg(email) from shop.customers) to stdout
--> exact / inferred | email | 40
copy (update shop.customers set city = city returning email) to stdout
--> innocent
copy (select id, city from shop.customers) to stdout

-- to a file on the server
--> exact / inferred | name, email, phone, my_number | 40
copy shop.customers to '/dev/null'
--> exact / inferred | email | 40
copy (select email from shop.customers) to program 'cat > /dev/null'

-- a partition
--> exact / inferred | shop.visits_2025.ip | 20
copy shop.visits_2025 to stdout
