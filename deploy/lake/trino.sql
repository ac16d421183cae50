-- The log's tables. Put its folder or prefix in place of LOG: sed 's#LOG#s3://bucket/prefix#'.
-- Trino, with a catalog `hive` of its Hive connector: trino -f trino.sql. LOG is s3://bucket/prefix. The last line of each
-- table finds new days: run it daily.
create schema if not exists hive.mitsuke;

create table if not exists hive.mitsuke.statements (
    "writer" varchar,
    "seq" bigint,
    "at" timestamp(6),
    "session_id" varchar,
    "ended_at" timestamp(6),
    "duration_us" bigint,
    "statement_no" bigint,
    "transaction_no" bigint,
    "database" varchar,
    "db_user" varchar,
    "role" varchar,
    "end_user" varchar,
    "application_name" varchar,
    "client_addr" varchar,
    "protocol" varchar,
    "kind" varchar,
    "query" varchar,
    "fingerprint" varchar,
    "parse" varchar,
    "certainty" varchar,
    "catalog" varchar,
    "relations" array(varchar),
    "columns" array(varchar),
    "level" varchar,
    "functions" array(varchar),
    "rows_returned" bigint,
    "rows_affected" bigint,
    "bytes_out" bigint,
    "bytes_in" bigint,
    "personal_rows" bigint,
    "persons" bigint,
    "subjects" array(varchar),
    "literals" array(varchar),
    "outcome" varchar,
    "sqlstate" varchar,
    "error" varchar,
    "policies" array(varchar),
    "permit" varchar,
    "context" varchar,
    "ticket" varchar,
    "stacked" bigint,
    "derived" array(varchar),
    "baits" array(varchar),
    "member_of" array(varchar),
    "dt" date
)
with (format = 'PARQUET', external_location = 'LOG/statements/', partitioned_by = array['dt']);
call hive.system.sync_partition_metadata('mitsuke', 'statements', 'ADD');

create table if not exists hive.mitsuke.transactions (
    "writer" varchar,
    "seq" bigint,
    "at" timestamp(6),
    "session_id" varchar,
    "transaction_no" bigint,
    "ended_at" timestamp(6),
    "outcome" varchar,
    "statements" bigint,
    "rows_returned" bigint,
    "rows_affected" bigint,
    "personal_rows" bigint,
    "persons" bigint,
    "relations_read" array(varchar),
    "relations_written" array(varchar),
    "database" varchar,
    "db_user" varchar,
    "role" varchar,
    "end_user" varchar,
    "application_name" varchar,
    "client_addr" varchar,
    "member_of" array(varchar),
    "dt" date
)
with (format = 'PARQUET', external_location = 'LOG/transactions/', partitioned_by = array['dt']);
call hive.system.sync_partition_metadata('mitsuke', 'transactions', 'ADD');

create table if not exists hive.mitsuke.sessions (
    "writer" varchar,
    "seq" bigint,
    "at" timestamp(6),
    "session_id" varchar,
    "ended_at" timestamp(6),
    "outcome" varchar,
    "sqlstate" varchar,
    "auth_method" varchar,
    "tls_version" varchar,
    "certificate" varchar,
    "server_version" varchar,
    "statements" bigint,
    "bytes_out" bigint,
    "bytes_in" bigint,
    "database" varchar,
    "db_user" varchar,
    "role" varchar,
    "end_user" varchar,
    "application_name" varchar,
    "client_addr" varchar,
    "member_of" array(varchar),
    "dt" date
)
with (format = 'PARQUET', external_location = 'LOG/sessions/', partitioned_by = array['dt']);
call hive.system.sync_partition_metadata('mitsuke', 'sessions', 'ADD');

create table if not exists hive.mitsuke.findings (
    "writer" varchar,
    "seq" bigint,
    "at" timestamp(6),
    "session_id" varchar,
    "finding_id" varchar,
    "policy" varchar,
    "title" varchar,
    "severity" varchar,
    "action" varchar,
    "observed" bigint,
    "threshold" bigint,
    "measure" varchar,
    "within_us" bigint,
    "evidence" array(bigint),
    "explanation" varchar,
    "tags" array(varchar),
    "database" varchar,
    "db_user" varchar,
    "role" varchar,
    "end_user" varchar,
    "application_name" varchar,
    "client_addr" varchar,
    "dt" date
)
with (format = 'PARQUET', external_location = 'LOG/findings/', partitioned_by = array['dt']);
call hive.system.sync_partition_metadata('mitsuke', 'findings', 'ADD');

create table if not exists hive.mitsuke.reviews (
    "writer" varchar,
    "seq" bigint,
    "at" timestamp(6),
    "session_id" varchar,
    "reviewer" varchar,
    "about" varchar,
    "verdict" varchar,
    "comment" varchar,
    "dt" date
)
with (format = 'PARQUET', external_location = 'LOG/reviews/', partitioned_by = array['dt']);
call hive.system.sync_partition_metadata('mitsuke', 'reviews', 'ADD');
