-- The log's tables. Put its folder or prefix in place of LOG: sed 's#LOG#s3://bucket/prefix#'.
-- Spark, 3.2 or newer: spark-sql -f spark.sql. Spark has no unsigned numbers, and reads them as decimal(20, 0).
create database if not exists mitsuke;

create table if not exists mitsuke.statements (
    `writer` string,
    `seq` decimal(20, 0),
    `at` timestamp,
    `session_id` string,
    `ended_at` timestamp,
    `duration_us` decimal(20, 0),
    `statement_no` decimal(20, 0),
    `transaction_no` decimal(20, 0),
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string,
    `protocol` string,
    `kind` string,
    `query` string,
    `fingerprint` string,
    `parse` string,
    `certainty` string,
    `catalog` string,
    `relations` array<string>,
    `columns` array<string>,
    `level` string,
    `functions` array<string>,
    `rows_returned` decimal(20, 0),
    `rows_affected` decimal(20, 0),
    `bytes_out` decimal(20, 0),
    `bytes_in` decimal(20, 0),
    `personal_rows` decimal(20, 0),
    `persons` decimal(20, 0),
    `subjects` array<string>,
    `literals` array<string>,
    `outcome` string,
    `sqlstate` string,
    `error` string,
    `policies` array<string>,
    `permit` string,
    `context` string,
    `ticket` string,
    `stacked` decimal(20, 0),
    `derived` array<string>,
    `baits` array<string>,
    `member_of` array<string>,
    `dt` date
)
using parquet partitioned by (dt) location 'LOG/statements';
msck repair table mitsuke.statements;

create table if not exists mitsuke.transactions (
    `writer` string,
    `seq` decimal(20, 0),
    `at` timestamp,
    `session_id` string,
    `transaction_no` decimal(20, 0),
    `ended_at` timestamp,
    `outcome` string,
    `statements` decimal(20, 0),
    `rows_returned` decimal(20, 0),
    `rows_affected` decimal(20, 0),
    `personal_rows` decimal(20, 0),
    `persons` decimal(20, 0),
    `relations_read` array<string>,
    `relations_written` array<string>,
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string,
    `member_of` array<string>,
    `dt` date
)
using parquet partitioned by (dt) location 'LOG/transactions';
msck repair table mitsuke.transactions;

create table if not exists mitsuke.sessions (
    `writer` string,
    `seq` decimal(20, 0),
    `at` timestamp,
    `session_id` string,
    `ended_at` timestamp,
    `outcome` string,
    `sqlstate` string,
    `auth_method` string,
    `tls_version` string,
    `certificate` string,
    `server_version` string,
    `statements` decimal(20, 0),
    `bytes_out` decimal(20, 0),
    `bytes_in` decimal(20, 0),
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string,
    `member_of` array<string>,
    `dt` date
)
using parquet partitioned by (dt) location 'LOG/sessions';
msck repair table mitsuke.sessions;

create table if not exists mitsuke.findings (
    `writer` string,
    `seq` decimal(20, 0),
    `at` timestamp,
    `session_id` string,
    `finding_id` string,
    `policy` string,
    `title` string,
    `severity` string,
    `action` string,
    `observed` decimal(20, 0),
    `threshold` decimal(20, 0),
    `measure` string,
    `within_us` decimal(20, 0),
    `evidence` array<decimal(20, 0)>,
    `explanation` string,
    `tags` array<string>,
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string,
    `dt` date
)
using parquet partitioned by (dt) location 'LOG/findings';
msck repair table mitsuke.findings;

create table if not exists mitsuke.reviews (
    `writer` string,
    `seq` decimal(20, 0),
    `at` timestamp,
    `session_id` string,
    `reviewer` string,
    `about` string,
    `verdict` string,
    `comment` string,
    `dt` date
)
using parquet partitioned by (dt) location 'LOG/reviews';
msck repair table mitsuke.reviews;
