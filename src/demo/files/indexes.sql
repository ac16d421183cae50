create index on shop.customers (lower(email));
create index on shop.customers (name_kana);
create index on shop.cards (customer_id);
create index on shop.events (starts_at);
create index on shop.orders (customer_id);
create index on shop.orders (event_id);
select setval(pg_get_serial_sequence('shop.orders', 'id'), (select max(id) from shop.orders));
analyze;
