-- before anything is in one
--> innocent
select lo_from_bytea(0, 'nothing')

-- made from a column
select lo_from_bytea(4720, convert_to(string_agg(email, ','), 'UTF8')) from shop.customers
--> inferred / assumed | email | 40
select lo_get(4720)
--> inferred / assumed | email | 1
select lo_get(4720, 0, 20)
--> inferred / assumed | email | 40
select convert_from(lo_get(4720), 'UTF8')
--> inferred / assumed | email | 1
select data from pg_largeobject where loid = 4720
--> inferred / assumed | email | 1
copy pg_largeobject (data) to stdout
--> inferred / assumed | email | 1
do $$ begin raise notice '%', convert_from(lo_get(4720), 'UTF8'); end $$
--> inferred / assumed | email | 1
select lo_export(4720, '/dev/null')
select lo_unlink(4720)

-- written piece by piece
begin
select lo_create(4721)
select lowrite(lo_open(4721, 131072), convert_to(phone, 'UTF8')) from shop.customers
--> inferred / assumed | phone | 1
select loread(lo_open(4721, 262144), 100000)
rollback

-- put into one that was there
select lo_create(4722)
select lo_put(4722, 0, convert_to(string_agg(my_number, ','), 'UTF8')) from shop.customers
--> inferred / assumed | my_number | 40
select lo_get(4722)
select lo_unlink(4722)

-- a file of the server in a large object
--> assumed | email | 1
select lo_import(pg_relation_filepath('shop.customers'), 480711)
--> inferred / assumed | email | 1
select lo_get(480711)
select lo_unlink(480711)
