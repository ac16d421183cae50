-- What psql does besides sending text: the extended protocol, COPY by the client, variables, \gexec, reconnecting.
create table t (id int, v text, b bytea);
\copy t (id, v) from stdin with (format csv, header)
id,v
1,"quoted ""and"" more"
2,
3,"two
lines"
\.
copy t from stdin;
4	tab	\\x0102
5	\N	\N
\.
copy t (id) from stdin;
1
not a number
2
\.
copy t to stdout; copy (select id, v from t order by id) to stdout with csv header force quote *; copy t (b) to stdout (format binary);
\copy (select 1/(id - 3) from t) to stdout
copy nowhere to stdout; copy t from '/no/such/file'; copy t to program 'false';
select id, v from t order by id \gdesc
select 'drop table if exists gone_' || i from generate_series(1, 3) i \gexec
select count(*) as n, max(id) as most from t \gset got_
\echo :got_n :got_most :'got_n'
select :got_n + 1, :'got_most';
\if :got_n
select 'then' as branch;
\else
select 'else' as branch;
\endif
select 1 as a, 2 as b, 3 as c \crosstabview
\x
select * from t order by id limit 1;
\x
\pset null '∅'
select null, v from t order by id limit 2;
\set FETCH_COUNT 2
select id from t order by id;
select 1/(id - 3) from t order by id;
\unset FETCH_COUNT
\set ON_ERROR_ROLLBACK on
begin; insert into t values (10); select broken; insert into t values (11); commit;
\unset ON_ERROR_ROLLBACK
\set AUTOCOMMIT off
insert into t values (12); select count(*) from t; rollback; select count(*) from t; commit;
\set AUTOCOMMIT on
set client_encoding = 'LATIN1'; select 'ä' = chr(228) as same, length('ä'); set client_encoding = 'UTF8';
set client_encoding = 'no such'; select convert_to('ä', 'LATIN1'), convert_from('\xe4', 'LATIN1'), convert_from('\xff', 'UTF8');
\c - - - -
select current_user, count(*) from t;
\c - no_such_role_here
\c
select 'connected' as still;
\errverbose
select 1/0;
\errverbose
\q
