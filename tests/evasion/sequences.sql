-- set from a column, asked for later
create sequence other.numbers
select setval('other.numbers', my_number::bigint) from shop.customers where id = 7
--> inferred / assumed | my_number | 1
select currval('other.numbers')
--> inferred / assumed | my_number | 1
select last_value from other.numbers
--> inferred / assumed | my_number | 1
select nextval('other.numbers'::regclass)
drop sequence other.numbers

-- set from a column, and returned at once
create sequence other.at_once
--> inferred / assumed | my_number | 40
select setval('other.at_once', my_number::bigint) from shop.customers
drop sequence other.at_once

-- innocent ones
create sequence other.counted
--> innocent
select nextval('other.counted')
--> innocent
select setval('other.counted', 100)
--> innocent
select setval('other.counted', (select max(id) from shop.products))
--> innocent
select last_value, is_called from other.counted
--> innocent
select currval(pg_get_serial_sequence('shop.notes', 'id')) from (select nextval('shop.notes_id_seq')) n
drop sequence other.counted
