-- Functions, procedures, triggers, notices, exceptions, and what they do to transactions.
create table log (n int generated always as identity, what text); create table t (id int primary key, v text);
create function note() returns trigger language plpgsql as $$
begin
  insert into log (what) values (tg_op || ' ' || coalesce(new.v, old.v, '-'));
  if tg_op = 'DELETE' then return old; end if;
  if new.v = 'no' then raise exception 'not %', new.v using errcode = 'P1234', detail = 'the detail', hint = 'the hint'; end if;
  raise notice 'noted %', new.v; return new;
end $$;
create trigger each before insert or update or delete on t for each row execute function note();
insert into t values (1, 'one'), (2, 'two'); insert into t values (3, 'no'); update t set v = 'eins' where id = 1; delete from t where id = 2;
\set VERBOSITY verbose
insert into t values (3, 'no');
\set VERBOSITY default
table log;
create function twice(x int, out double int, out words text) language sql immutable as $$ select x * 2, 'words' $$;
select * from twice(4); select twice(null); select (twice(2)).*; select twice('x');
create function rows(n int) returns setof int language plpgsql as $$ begin for i in 1..n loop raise debug 'row %', i; return next i; end loop; end $$;
select * from rows(4); select rows(2), rows(3); set client_min_messages = debug1; select * from rows(2); reset client_min_messages;
create procedure steps(inout n int) language plpgsql as $$
begin insert into log (what) values ('step'); commit; insert into log (what) values ('undone'); rollback; n := n + 1; end $$;
call steps(1); begin; call steps(1); rollback; call steps('x'); select what, count(*) from log group by 1 order by 1;
do $$ declare r record; begin for r in select * from log order by n limit 2 loop raise warning '% %', r.n, r.what; end loop;
  begin perform 1/0; exception when division_by_zero then raise info 'caught %', sqlstate; end;
  execute format('create table %I (i int)', 'Odd name'); end $$;
select * from "Odd name"; do 'no block'; do $$ begin assert false, 'asserted'; end $$;
create function loops(n int) returns int language plpgsql as $$ begin if n = 0 then return 0; end if; return 1 + loops(n - 1); end $$;
select loops(50); create or replace function loops(n int) returns int language plpgsql as $$ begin return loops(n + 1); end $$;
set max_stack_depth = '200kB'; \set VERBOSITY terse
select loops(1);
\set VERBOSITY default
reset max_stack_depth; create or replace function loops(n int) returns text language sql as 'select 1';
create aggregate product(int) (sfunc = int4mul, stype = int, initcond = 1); select product(i) from generate_series(1, 5) i;
create operator === (leftarg = int, rightarg = int, function = int4eq); select 1 === 1, 2 === 3;
create event trigger ddl on ddl_command_end execute function note(); drop event trigger if exists ddl;
listen ch; notify ch, 'payload'; select 1; begin; notify ch; notify ch; commit; unlisten *; notify ch;
select pg_notify('ch', 'x'); set statement_timeout = 50; select pg_sleep(5); reset statement_timeout; select 'after';
create constraint trigger late after insert on t deferrable initially deferred for each row execute function note();
insert into t values (7, 'seven'); begin; insert into t values (8, 'eight'); set constraints all immediate; commit;
lock table t in access exclusive mode; begin; lock table t; select mode, granted from pg_locks where relation = 't'::regclass order by 1; rollback;
select lo_create(77777) > 0; select lo_put(77777, 0, 'large'); select lo_get(77777); select lo_unlink(77777);
select set_config('my.setting', 'set', false), current_setting('my.setting'); set my.setting = 'other'; show my.setting; reset all; discard all; show my.setting;
