//! What the loader asks the system catalogs (PostgreSQL manual, System Catalogs), of versions 13 and later.
//!
//! In: nothing. Out: one statement a question, with what stands in its columns where that is not plain; a word in capitals is put in by the loader. None
//! needs a right that not everybody has.

/// Each with its columns in order, one that was dropped without a name, so that all of it is one row: a row a column takes three times as long.
pub(super) const RELATIONS: &str = "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
    case when c.relkind in ('r', 'm', 'f', 'p') and c.reltuples > 0 then c.reltuples::int8 end, \
    case when n.nspname in ('pg_catalog', 'information_schema') then '{}' else \
    array(select case when a.attisdropped then '' else a.attname::text end from pg_catalog.pg_attribute a \
    where a.attrelid = c.oid and a.attnum > 0 order by a.attnum) end \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'v', 'm', 'f', 'p') and n.nspname !~ '^pg_toast'";
/// Each with the transaction that made its rule: it has been what it is since.
pub(super) const VIEWS: &str = "select c.oid, r.xmin::text from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.rulename = '_RETURN' \
    where c.relkind in ('v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')";
/// Writing one down takes the server a tenth of a millisecond.
pub(super) const DEFINITIONS: &str = "select v, pg_catalog.pg_get_viewdef(v) from pg_catalog.unnest($1::oid[]) v";
pub(super) const DEPENDENCIES: &str = "select distinct r.ev_class, d.refobjid, d.refobjsubid::int2 from pg_catalog.pg_depend d \
    join pg_catalog.pg_rewrite r on r.oid = d.objid join pg_catalog.pg_class c on c.oid = r.ev_class \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass \
    and r.ev_class <> d.refobjid and c.relkind in ('v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')";
/// The functions of the users' that something has in it, by its class and number: by name, behind an operator, or a cast's. PostgreSQL's own leave no
/// trace there.
pub(super) const CODE_WITHIN: &str = "(select d.classid, d.objid, d.objsubid, n.nspname || '.' || p.proname as function from pg_catalog.pg_depend d \
    left join pg_catalog.pg_operator o on d.refclassid = 'pg_catalog.pg_operator'::regclass and o.oid = d.refobjid \
    join pg_catalog.pg_proc p on p.oid = case d.refclassid when 'pg_catalog.pg_proc'::regclass then d.refobjid else o.oprcode end \
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass) and n.nspname not in ('pg_catalog', 'information_schema'))";
pub(super) const VIEW_CALLS: &str = "select distinct r.ev_class, u.function from CODE_WITHIN u \
    join pg_catalog.pg_rewrite r on u.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = u.objid and r.rulename = '_RETURN'";
pub(super) const INHERITS: &str = "select inhrelid, inhparent from pg_catalog.pg_inherits";
pub(super) const UNIQUE: &str = "select indrelid, indkey[0] from pg_catalog.pg_index \
    where indisunique and indisvalid and indnkeyatts = 1 and indpred is null and indexprs is null";
/// What a value takes as text, by relation; of tables with partitions, of all of them. `STATISTICS` is one of the two below.
pub(super) const WIDTHS: &str = "select a.attrelid, a.attnum, pg_catalog.ceil((1 - s.nulls) * case t.typname when 'bool' then 5 \
    when 'int2' then 4 when 'int4' then 6 when 'int8' then 9 when 'float4' then 8 when 'float8' then 12 when 'date' then 10 \
    when 'time' then 10 when 'timestamp' then 24 when 'timestamptz' then 28 when 'uuid' then 36 when 'inet' then 12 \
    when 'bytea' then 2 * s.width + 2 else greatest(s.width + case t.typlen when -1 then -1 else 0 end, 1) end)::int4, s.whole \
    from STATISTICS join pg_catalog.pg_type t on t.oid = a.atttypid where a.attrelid = any($1)";
/// A superuser's. With AS: up to version 13 a word of the grammar, `nulls`, is no name without it.
pub(super) const STATISTICS: &str = "(select starelid, staattnum, stanullfrac as nulls, stawidth as width, stainherit as whole from pg_catalog.pg_statistic) s \
    join pg_catalog.pg_attribute a on a.attrelid = s.starelid and a.attnum = s.staattnum";
/// Of what the role may read.
pub(super) const READABLE_STATISTICS: &str = "(select n.oid as schema, tablename, attname, null_frac as nulls, avg_width as width, inherited as whole \
    from pg_catalog.pg_stats join pg_catalog.pg_namespace n on n.nspname = schemaname) s \
    join pg_catalog.pg_class c on c.relnamespace = s.schema and c.relname = s.tablename \
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = s.attname";
pub(super) const SEES_STATISTICS: &str = "select pg_catalog.has_table_privilege('pg_catalog.pg_statistic', 'select')";
pub(super) const COMMENTS: &str = "select objoid, objsubid::int2, description from pg_catalog.pg_description \
    where classoid = 'pg_catalog.pg_class'::regclass and objsubid > 0 and description like '%@%'";
pub(super) const LABELS: &str = "select objoid, objsubid::int2, label from pg_catalog.pg_seclabel \
    where classoid = 'pg_catalog.pg_class'::regclass and objsubid > 0";
/// Each with what an aggregate is made of, and with the casts that nobody names of its arguments and its result.
pub(super) const FUNCTIONS: &str = "select n.nspname::text, p.proname::text, l.lanname::text, coalesce(SQL_BODY, p.prosrc, ''), \
    exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'), \
    (select pg_catalog.substr(setting, 13) from pg_catalog.unnest(p.proconfig) setting where setting like 'search_path=%'), \
    array(select m.nspname || '.' || f.proname from pg_catalog.pg_aggregate a join pg_catalog.pg_proc f on f.oid in (a.aggtransfn, a.aggfinalfn, \
    a.aggmtransfn, a.aggmfinalfn) join pg_catalog.pg_namespace m on m.oid = f.pronamespace where a.aggfnoid = p.oid and m.nspname <> 'pg_catalog' \
    union select m.nspname || '.' || f.proname from pg_catalog.pg_cast c join pg_catalog.pg_proc f on f.oid = c.castfunc \
    join pg_catalog.pg_namespace m on m.oid = f.pronamespace join pg_catalog.pg_type t on t.oid = c.casttarget \
    where m.nspname <> 'pg_catalog' and t.typnamespace <> 'pg_catalog'::regnamespace \
    and (c.castcontext = 'i' and c.casttarget = any(p.proargtypes) or c.castcontext <> 'e' and c.casttarget = p.prorettype)), \
    case when p.pronargdefaults > 0 then pg_catalog.pg_get_expr(p.proargdefaults, 0) end, \
    exists (select from pg_catalog.pg_type t where t.oid = p.proargtypes[0] and t.typtype = 'c'), \
    p.prorettype in ('pg_catalog.bool'::regtype, 'pg_catalog.void'::regtype) \
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    join pg_catalog.pg_language l on l.oid = p.prolang where n.nspname not in ('pg_catalog', 'information_schema')";
/// A trigger's arguments stand behind its code, as constants; and the word for its row where all rows of a statement are a table to it.
pub(super) const TRIGGERS: &str = "select t.tgrelid, p.prosrc || case when t.tgnargs > 0 then E'\\n;' || (select pg_catalog.string_agg(pg_catalog.quote_literal(a), ',') \
    from pg_catalog.regexp_split_to_table(pg_catalog.encode(t.tgargs, 'escape'), '\\\\000') a where a <> '') else '' end \
    || case when t.tgnewtable is not null or t.tgoldtable is not null then E'\\n;new' else '' end from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid \
    where not t.tgisinternal union all \
    select r.ev_class, pg_catalog.pg_get_ruledef(r.oid) from pg_catalog.pg_rewrite r where r.rulename <> '_RETURN'";
/// Up to version 14 what generates a column hangs on the column, and not on its default.
pub(super) const COMPUTED: &str = "select a.adrelid, a.adnum, u.function from CODE_WITHIN u \
    join pg_catalog.pg_attrdef a on u.classid = 'pg_catalog.pg_attrdef'::regclass and u.objid = a.oid \
    union select c.attrelid, c.attnum, u.function from CODE_WITHIN u join pg_catalog.pg_attribute c \
    on u.classid = 'pg_catalog.pg_class'::regclass and c.attrelid = u.objid and c.attnum = u.objsubid and c.attgenerated <> ''";
/// Defaults, of domains too, that call one of PostgreSQL's own functions of the names given: its number stands in the tree, and nowhere else. What is a
/// constant, the time, or a sequence's next value is not looked through.
pub(super) const DEFAULTS_OF_OWN: &str = "with own as materialized (select p.oid, p.proname::text as name from pg_catalog.pg_proc p \
    where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = any($1)), \
    defaults as materialized (select d.* from (select adrelid as relation, adnum as number, 0::oid as type, adbin::text as tree from pg_catalog.pg_attrdef \
    union all select 0::oid, 0::int2, oid, typdefaultbin::text from pg_catalog.pg_type where typdefaultbin is not null) d \
    where d.tree !~ '^\\{(CONST|SQLVALUEFUNCTION|FUNCEXPR :funcid (1299|1574)) ' \
    and d.tree ~ (select ':funcid (' || pg_catalog.string_agg(oid::text, '|') || ') ' from own)) \
    select d.relation, d.number, d.type, o.name from defaults d join own o on d.tree like '%:funcid ' || o.oid || ' %'";
/// Domains whose default calls a function, and types of somebody's own that one makes others of, or makes of others, where nobody names it: casts on
/// assignment and implicit ones; and what has such a type: asked only where there are any, since every column is looked at.
pub(super) const DOMAINS: &str = "select d.objid, n.nspname || '.' || p.proname from pg_catalog.pg_depend d \
    join pg_catalog.pg_type t on t.oid = d.objid and t.typtype = 'd' join pg_catalog.pg_proc p on p.oid = d.refobjid join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where d.classid = 'pg_catalog.pg_type'::regclass and d.refclassid = 'pg_catalog.pg_proc'::regclass \
    and n.nspname not in ('pg_catalog', 'information_schema') \
    union select t.oid, n.nspname || '.' || p.proname from pg_catalog.pg_cast c join pg_catalog.pg_proc p on p.oid = c.castfunc \
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace join pg_catalog.pg_type t on t.oid in (c.castsource, c.casttarget) \
    where c.castcontext <> 'e' and t.typnamespace <> 'pg_catalog'::regnamespace and n.nspname not in ('pg_catalog', 'information_schema') \
    and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e')";
pub(super) const OF_DOMAINS: &str =
    "select attrelid, attnum, atttypid from pg_catalog.pg_attribute where attnum > 0 and atttypid = any($1)";
pub(super) const GENERATED: &str = "select distinct d.refobjid, a.adnum, d.refobjsubid::int2 from pg_catalog.pg_attrdef a \
    join pg_catalog.pg_attribute c on c.attrelid = a.adrelid and c.attnum = a.adnum and c.attgenerated <> '' \
    join pg_catalog.pg_depend d on d.refobjid = a.adrelid and d.refobjsubid <> 0 and d.refobjsubid <> a.adnum \
    and d.refclassid = 'pg_catalog.pg_class'::regclass \
    and (d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = a.oid \
    or d.classid = 'pg_catalog.pg_class'::regclass and d.objid = a.adrelid and d.objsubid = a.adnum)";
/// Code by whatever depends on it, and whether that runs where rows are only read: triggers and policies, constraints of tables and domains, indexes; and event triggers.
pub(super) const UNNAMED: &str = "with uses as (select * from CODE_WITHIN u) \
    select t.tgrelid, u.function, false from uses u join pg_catalog.pg_trigger t on u.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = u.objid \
    union select r.polrelid, u.function, true from uses u join pg_catalog.pg_policy r on u.classid = 'pg_catalog.pg_policy'::regclass and r.oid = u.objid \
    union select coalesce(nullif(c.conrelid, 0), a.attrelid), u.function, false from uses u \
    join pg_catalog.pg_constraint c on u.classid = 'pg_catalog.pg_constraint'::regclass and c.oid = u.objid \
    left join pg_catalog.pg_attribute a on a.atttypid = nullif(c.contypid, 0) where c.conrelid <> 0 or a.attrelid is not null \
    union select i.indrelid, u.function, false from uses u join pg_catalog.pg_index i on u.classid = 'pg_catalog.pg_class'::regclass and i.indexrelid = u.objid \
    union select 0::oid, u.function, false from uses u where u.classid = 'pg_catalog.pg_event_trigger'::regclass";
pub(super) const RULES: &str = "select distinct r.ev_class, r.ev_type::text, d.refobjid from pg_catalog.pg_rewrite r \
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid \
    where d.refclassid = 'pg_catalog.pg_class'::regclass and r.rulename <> '_RETURN' and r.ev_class <> d.refobjid";
pub(super) const OPERATORS: &str = "select o.oprname::text, n.nspname::text, p.proname::text from pg_catalog.pg_operator o \
    join pg_catalog.pg_proc p on p.oid = o.oprcode join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where n.nspname not in ('pg_catalog', 'information_schema') \
    union select '::' || t.typname, n.nspname::text, p.proname::text from pg_catalog.pg_cast c \
    join pg_catalog.pg_type t on t.oid = c.casttarget or t.oid = c.castsource and c.castcontext <> 'e' \
    join pg_catalog.pg_proc p on p.oid = c.castfunc join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where n.nspname not in ('pg_catalog', 'information_schema')";
/// `extract` is a word of the grammar alone up to version 13.
pub(super) const BUILT_IN: &str = "select distinct p.proname::text from pg_catalog.pg_proc p \
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname in ('pg_catalog', 'information_schema') \
    union select o.oprname::text from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace \
    where n.nspname = 'pg_catalog' union select 'extract'";
pub(super) const FUNCTION_OIDS: &str = "select p.oid, case n.nspname when 'pg_catalog' then p.proname::text else n.nspname || '.' || p.proname end \
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname <> 'information_schema'";
pub(super) const FOREIGN: &str = "select f.ftrelid, \
    coalesce((select pg_catalog.substr(o, 13) from pg_catalog.unnest(f.ftoptions) o where o like 'schema\\_name=%'), n.nspname::text), \
    coalesce((select pg_catalog.substr(o, 12) from pg_catalog.unnest(f.ftoptions) o where o like 'table\\_name=%'), c.relname::text) \
    from pg_catalog.pg_foreign_table f join pg_catalog.pg_class c on c.oid = f.ftrelid \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace";
pub(super) const FOREIGN_COLUMNS: &str = "select a.attrelid, a.attnum, pg_catalog.substr(o, 13) from pg_catalog.pg_foreign_table f \
    join pg_catalog.pg_attribute a on a.attrelid = f.ftrelid cross join pg_catalog.unnest(a.attfdwoptions) o where a.attnum > 0 and not a.attisdropped and o like 'column\\_name=%'";
pub(super) const PUBLISHED: &str =
    "select pubname::text, schemaname::text, tablename::text, COLUMN_LIST from pg_catalog.pg_publication_tables";
pub(super) const VERSION: &str = "select pg_catalog.current_setting('server_version_num')::int4";
/// Not the catalog's own role's, nor this database's: these are among `LOGIN_PATHS`.
pub(super) const SEARCH_PATH: &str = "select coalesce((select boot_val from pg_catalog.pg_settings where name = 'search_path' and source in ('user', \
    'database', 'database user')), pg_catalog.current_setting('search_path'))";
pub(super) const LOGIN_PATHS: &str = "select r.rolname::text, s.setdatabase <> 0, pg_catalog.substr(setting, 13) from pg_catalog.pg_db_role_setting s \
    cross join pg_catalog.unnest(s.setconfig) setting left join pg_catalog.pg_roles r on r.oid = s.setrole \
    where setting like 'search\\_path=%' and (s.setrole = 0 or r.oid is not null) and (s.setdatabase = 0 or s.setdatabase = \
    (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))";

/// Compiling a question takes the server longer than answering it.
pub(super) const SETTINGS: &str =
    "set default_transaction_read_only = on; set statement_timeout = '60s'; set jit = off";
/// Of roles that may log in, with those that they are a member of through others.
pub(super) const MEMBERS: &str = "with recursive members(login, role) as (select m.member, m.roleid from pg_catalog.pg_auth_members m \
    join pg_catalog.pg_roles r on r.oid = m.member where r.rolcanlogin \
    union select m.login, more.roleid from members m join pg_catalog.pg_auth_members more on more.member = m.role) \
    select l.rolname::text, r.rolname::text from members m join pg_catalog.pg_roles l on l.oid = m.login \
    join pg_catalog.pg_roles r on r.oid = m.role order by l.rolname, r.rolname";
/// Whether the server counts what is written, and tells soon: up to version 14 a session that rests tells when it works again.
pub(super) const COUNTS: &str = "select pg_catalog.current_setting('track_counts')::bool and pg_catalog.current_setting('server_version_num')::int4 >= 150000";
/// What changes of a relation whenever rows are put into it, it is rewritten, or it gets a column or a default.
pub(super) const WRITTEN: &str = "select c.oid, pg_catalog.hashtextextended(pg_catalog.concat_ws(':', pg_catalog.pg_stat_get_tuples_inserted(c.oid) \
    + pg_catalog.pg_stat_get_tuples_updated(c.oid), c.relfilenode, c.xmin, d.made), 0) from pg_catalog.pg_class c \
    left join (select adrelid, pg_catalog.sum(xmin::text::int8) as made from pg_catalog.pg_attrdef group by adrelid) d on d.adrelid = c.oid \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm', 'p') \
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'";
/// Foreign keys by which rows change with another table's.
pub(super) const DEPENDENTS: &str = "select distinct confrelid, conrelid from pg_catalog.pg_constraint \
    where contype = 'f' and (confdeltype in ('c', 'n', 'd') or confupdtype in ('c', 'n', 'd'))";
/// Columns of foreign keys, and whether these are ON UPDATE CASCADE: the server puts the other table's values there.
pub(super) const REFERENCES: &str = "select c.conrelid, k.own, c.confrelid, k.other, c.confupdtype = 'c' from pg_catalog.pg_constraint c, \
    rows from (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) k (own, other) where c.contype = 'f'";
