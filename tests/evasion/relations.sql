-- views
--> exact | email | 40
select mail from shop.contacts
--> exact | email, name | 40
select * from shop.contact_names
--> inferred | email | 40
select loud from shop.loud
--> exact | name, email, phone, my_number | 40
select * from shop.everyone
--> inferred | email, shop.staff.email | 45
select * from shop.both
--> inferred | name, phone | 40
select * from shop.barrier
--> inferred | email | 40
select a from shop.renamed
--> exact | name, email | 40
select * from shop.mailing
--> inferred | name | 40
select * from shop.mailing_names
--> inferred | email | 40
select lower(mail) from shop.contacts
--> inferred | email | 40
select string_agg(mail, ',') from shop.contacts
--> inferred | email | 40
select x from shop.contacts x
--> exact / inferred | email | 40
copy (select mail from shop.contacts) to stdout
--> exact / inferred | name, email | 40
copy (table shop.mailing) to stdout

-- partitions
--> exact | shop.visits.ip | 40
select customer_id, ip from shop.visits
--> exact | shop.visits_2025.ip | 20
select customer_id, ip from shop.visits_2025
--> exact / inferred | shop.visits_2026.ip | 20
select ip from shop.visits_2026
--> inferred | shop.visits.ip | 40
select host(ip) from shop.visits

-- inheritance
--> exact | shop.staff.email | 5
select id, email from shop.staff
--> exact | shop.staff.email | 3
select id, email from only shop.staff
--> exact | shop.managers.email | 2
select id, email from shop.managers
--> inferred | shop.managers.email | 2
select upper(email) from shop.managers

-- a view that takes a row as a whole, beside a column of it
--> exact | name, email, phone, my_number | 40
select id, j from shop.as_json
--> inferred | name, email, phone, my_number | 40
select lower(j::text) from shop.as_json

-- the table alone
--> exact | shop.managers.email | 2
select id, email from only shop.managers
--> inferred | email | 40
select lower(email) from only shop.customers
