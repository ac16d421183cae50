-- The log's tables. Put its folder or prefix in place of LOG: sed 's#LOG#s3://bucket/prefix#'.
-- ClickHouse: clickhouse local --path mitsuke --queries-file clickhouse.sql. For a bucket, s3('https://…') in place of file('…').
create database if not exists mitsuke;

create or replace view mitsuke.statements as
select `writer`, `seq`, `at`, `session_id`, `ended_at`, `duration_us`, `statement_no`, `transaction_no`, `database`, `db_user`, `role`, `end_user`, `application_name`, `client_addr`, `protocol`, `kind`, `query`, `fingerprint`, `parse`, `certainty`, `catalog`, `relations`, `columns`, `level`, `functions`, `rows_returned`, `rows_affected`, `bytes_out`, `bytes_in`, `personal_rows`, `persons`, `subjects`, `literals`, `outcome`, `sqlstate`, `error`, `policies`, `permit`, `context`, `ticket`, `stacked`, `derived`, `baits`, `member_of`, toDate(extract(_path, 'dt=([0-9-]+)')) as dt
  from file('LOG/statements/dt=*/*.parquet', 'Parquet', $$
    `writer` Nullable(String),
    `seq` Nullable(UInt64),
    `at` Nullable(DateTime64(6, 'UTC')),
    `session_id` Nullable(String),
    `ended_at` Nullable(DateTime64(6, 'UTC')),
    `duration_us` Nullable(UInt64),
    `statement_no` Nullable(UInt64),
    `transaction_no` Nullable(UInt64),
    `database` Nullable(String),
    `db_user` Nullable(String),
    `role` Nullable(String),
    `end_user` Nullable(String),
    `application_name` Nullable(String),
    `client_addr` Nullable(String),
    `protocol` Nullable(String),
    `kind` Nullable(String),
    `query` Nullable(String),
    `fingerprint` Nullable(String),
    `parse` Nullable(String),
    `certainty` Nullable(String),
    `catalog` Nullable(String),
    `relations` Array(Nullable(String)),
    `columns` Array(Nullable(String)),
    `level` Nullable(String),
    `functions` Array(Nullable(String)),
    `rows_returned` Nullable(UInt64),
    `rows_affected` Nullable(UInt64),
    `bytes_out` Nullable(UInt64),
    `bytes_in` Nullable(UInt64),
    `personal_rows` Nullable(UInt64),
    `persons` Nullable(UInt64),
    `subjects` Array(Nullable(String)),
    `literals` Array(Nullable(String)),
    `outcome` Nullable(String),
    `sqlstate` Nullable(String),
    `error` Nullable(String),
    `policies` Array(Nullable(String)),
    `permit` Nullable(String),
    `context` Nullable(String),
    `ticket` Nullable(String),
    `stacked` Nullable(UInt64),
    `derived` Array(Nullable(String)),
    `baits` Array(Nullable(String)),
    `member_of` Array(Nullable(String))
$$);

create or replace view mitsuke.transactions as
select `writer`, `seq`, `at`, `session_id`, `transaction_no`, `ended_at`, `outcome`, `statements`, `rows_returned`, `rows_affected`, `personal_rows`, `persons`, `relations_read`, `relations_written`, `database`, `db_user`, `role`, `end_user`, `application_name`, `client_addr`, `member_of`, toDate(extract(_path, 'dt=([0-9-]+)')) as dt
  from file('LOG/transactions/dt=*/*.parquet', 'Parquet', $$
    `writer` Nullable(String),
    `seq` Nullable(UInt64),
    `at` Nullable(DateTime64(6, 'UTC')),
    `session_id` Nullable(String),
    `transaction_no` Nullable(UInt64),
    `ended_at` Nullable(DateTime64(6, 'UTC')),
    `outcome` Nullable(String),
    `statements` Nullable(UInt64),
    `rows_returned` Nullable(UInt64),
    `rows_affected` Nullable(UInt64),
    `personal_rows` Nullable(UInt64),
    `persons` Nullable(UInt64),
    `relations_read` Array(Nullable(String)),
    `relations_written` Array(Nullable(String)),
    `database` Nullable(String),
    `db_user` Nullable(String),
    `role` Nullable(String),
    `end_user` Nullable(String),
    `application_name` Nullable(String),
    `client_addr` Nullable(String),
    `member_of` Array(Nullable(String))
$$);

create or replace view mitsuke.sessions as
select `writer`, `seq`, `at`, `session_id`, `ended_at`, `outcome`, `sqlstate`, `auth_method`, `tls_version`, `certificate`, `server_version`, `statements`, `bytes_out`, `bytes_in`, `database`, `db_user`, `role`, `end_user`, `application_name`, `client_addr`, `member_of`, toDate(extract(_path, 'dt=([0-9-]+)')) as dt
  from file('LOG/sessions/dt=*/*.parquet', 'Parquet', $$
    `writer` Nullable(String),
    `seq` Nullable(UInt64),
    `at` Nullable(DateTime64(6, 'UTC')),
    `session_id` Nullable(String),
    `ended_at` Nullable(DateTime64(6, 'UTC')),
    `outcome` Nullable(String),
    `sqlstate` Nullable(String),
    `auth_method` Nullable(String),
    `tls_version` Nullable(String),
    `certificate` Nullable(String),
    `server_version` Nullable(String),
    `statements` Nullable(UInt64),
    `bytes_out` Nullable(UInt64),
    `bytes_in` Nullable(UInt64),
    `database` Nullable(String),
    `db_user` Nullable(String),
    `role` Nullable(String),
    `end_user` Nullable(String),
    `application_name` Nullable(String),
    `client_addr` Nullable(String),
    `member_of` Array(Nullable(String))
$$);

create or replace view mitsuke.findings as
select `writer`, `seq`, `at`, `session_id`, `finding_id`, `policy`, `title`, `severity`, `action`, `observed`, `threshold`, `measure`, `within_us`, `evidence`, `explanation`, `tags`, `database`, `db_user`, `role`, `end_user`, `application_name`, `client_addr`, toDate(extract(_path, 'dt=([0-9-]+)')) as dt
  from file('LOG/findings/dt=*/*.parquet', 'Parquet', $$
    `writer` Nullable(String),
    `seq` Nullable(UInt64),
    `at` Nullable(DateTime64(6, 'UTC')),
    `session_id` Nullable(String),
    `finding_id` Nullable(String),
    `policy` Nullable(String),
    `title` Nullable(String),
    `severity` Nullable(String),
    `action` Nullable(String),
    `observed` Nullable(UInt64),
    `threshold` Nullable(UInt64),
    `measure` Nullable(String),
    `within_us` Nullable(UInt64),
    `evidence` Array(Nullable(UInt64)),
    `explanation` Nullable(String),
    `tags` Array(Nullable(String)),
    `database` Nullable(String),
    `db_user` Nullable(String),
    `role` Nullable(String),
    `end_user` Nullable(String),
    `application_name` Nullable(String),
    `client_addr` Nullable(String)
$$);

create or replace view mitsuke.reviews as
select `writer`, `seq`, `at`, `session_id`, `reviewer`, `about`, `verdict`, `comment`, toDate(extract(_path, 'dt=([0-9-]+)')) as dt
  from file('LOG/reviews/dt=*/*.parquet', 'Parquet', $$
    `writer` Nullable(String),
    `seq` Nullable(UInt64),
    `at` Nullable(DateTime64(6, 'UTC')),
    `session_id` Nullable(String),
    `reviewer` Nullable(String),
    `about` Nullable(String),
    `verdict` Nullable(String),
    `comment` Nullable(String)
$$);
