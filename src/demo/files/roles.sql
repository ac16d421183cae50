-- Each role may do what its work needs, and no more. The demo gives the passwords.
revoke all on database shop from public;
grant connect on database shop to shop_web, clerk, batch, backoffice, mitsuke_catalog;
grant usage on schema shop to shop_web, clerk, batch, backoffice;

grant select on shop.customers, shop.members, shop.cards, shop.venues, shop.events, shop.orders to shop_web;
grant insert on shop.orders to shop_web;
grant update (points) on shop.members to shop_web;

grant select on shop.customers, shop.members, shop.orders, shop.events, shop.venues to clerk;

grant select on shop.customers to batch;

grant select on shop.order_list, shop.events, shop.venues to backoffice;

-- Reads the system catalogs, which everybody may, and nothing else.
alter role mitsuke_catalog set default_transaction_read_only = on;
alter role mitsuke_catalog connection limit 4;
