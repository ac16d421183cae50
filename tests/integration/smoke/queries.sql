-- Queries of every kind, right and wrong, and every type that psql prints.
select 1 as one, null as nothing, 'text' as text, 1.5::float4, 1e300::float8, 'NaN'::numeric, true, '\x00ff'::bytea, '2026-11-23'::date;
select '{1,2,NULL}'::int[], '[1,5)'::int4range, '(1,2)'::point, '10.0.0.1/8'::inet, '{"a": [1, null]}'::jsonb, 'a b'::tsvector, B'101', '12:00+02'::timetz;
select interval '1 year 2 days', timestamptz '2026-03-29 01:30+00' at time zone 'Europe/Berlin', money '12.50', '<a/>'::text;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 8) select i, i * i, sum(i) over (order by i) from n;
select a, b, count(*) from (values (1, 'x'), (1, 'y'), (2, 'x')) v(a, b) group by grouping sets ((a), (b), ()) order by 1, 2;
select * from generate_series(1, 5) a left join generate_series(3, 8) b on a = b order by a;
select array(select i from generate_series(1, 4) i), row(1, 'two', null), (select max(i) from generate_series(1, 4) i);
select string_agg(i::text, ',' order by i desc) filter (where i % 2 = 0), percentile_cont(0.5) within group (order by i) from generate_series(1, 9) i;
select lag(i) over w, rank() over w, ntile(2) over w from generate_series(1, 4) i window w as (order by i desc);
create table t (id int primary key, v text); insert into t select i, repeat('v', i) from generate_series(1, 20) i;
insert into t values (1, 'again') on conflict (id) do update set v = excluded.v || '!' returning *;
update t set v = u.v from (values (2, 'two'), (3, 'three')) u(id, v) where t.id = u.id returning t.*;
delete from t using generate_series(10, 30) g where t.id = g returning t.id;
with moved as (delete from t where id < 4 returning *) insert into t select id + 100, v from moved returning *;
table t; select distinct on (length(v) % 3) * from t order by length(v) % 3, id; select * from t order by id offset 2 fetch first 2 rows with ties;
select * from t for update skip locked limit 1; select exists (select from t), (table t limit 0) is null;
begin; savepoint a; insert into t values (4, 'twice'); rollback to a; select count(*) from t; release a; commit;
begin isolation level serializable read only deferrable; delete from t; rollback; set transaction read only; commit and chain; rollback;
select 1/0; select sqrt(-1); select 'x'::int; select no_such(); select * from nowhere; selec 1; select (; select "unterminated;
"; select $$dollar ' quoted$$, $tag$with $$ inside$tag$, E'esc\'aped\n', U&'\0041', 'it''s', 'a' 'b', 'joined'
'over lines';
select /* a comment /* nested */ */ 1 -- the rest
;
;;
select 'first' \; select 'second' \; select 1/0 \; select 'never';
insert into t values (900, 'implicit') \; insert into t values (900, 'fails');
select count(*) from t where id = 900;
declare c cursor for table t; begin; declare c scroll cursor for select * from t order by id; fetch 3 c; fetch absolute 2 c; fetch backward all c; move 5 in c; fetch c; close c; commit;
prepare q(int, text) as select $1 + 1, $2; execute q(1, 'a'); execute q('x', 1); execute q(1); explain (costs off) execute q(1, 'a'); deallocate q; execute q(1, 'a');
select repeat('long', 50000), i from generate_series(1, 3) i; select i, md5(i::text) from generate_series(1, 500) i;
explain (costs off, timing off, summary off, analyze) select count(*) from t; analyze t; vacuum t; begin; vacuum t; rollback;
