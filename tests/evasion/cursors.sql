-- fetched at once
begin
declare c cursor for select email from shop.customers
--> exact | email | 40
fetch all from c
commit

-- fetched piece by piece
begin
declare c cursor for select id, email from shop.customers order by id
--> exact | email | 5
fetch 5 from c
--> exact | email | 5
fetch forward 5 from c
move 2 in c
--> exact | email | 1
fetch next from c
commit

-- scrolled
begin
declare c scroll cursor for select email from shop.customers order by id
move 10 in c
--> exact / inferred | email | 1
fetch prior from c
--> exact / inferred | email | 1
fetch first in c
--> exact / inferred | email | 1
fetch absolute 3 from c
--> exact / inferred | email | 2
fetch backward 2 from c
commit

-- beyond its transaction
begin
declare h cursor with hold for select lower(email) from shop.customers
commit
--> inferred | email | 40
fetch all h
close h

-- under a quoted name
begin
declare "My Cursor" binary cursor for select phone from shop.customers
--> exact | phone | 40
fetch all from "My Cursor"
commit

-- a cursor's name used again
begin
declare c cursor for select email from shop.customers
close c
declare c cursor for select title from shop.products
--> innocent
fetch all from c
commit

-- everything with a star
begin
declare c no scroll cursor without hold for select * from shop.customers
--> exact | name, email, phone, my_number | 40
fetch all in c
commit

-- a cursor over a prepared statement's text
--> inferred / assumed | email | 40
with c as (select email from shop.customers) select c from c
