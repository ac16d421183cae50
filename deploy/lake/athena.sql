-- The log's tables. Put its folder or prefix in place of LOG: sed 's#LOG#s3://bucket/prefix#'.
-- Athena: one statement at a time. LOG is s3://bucket/prefix. Days need no crawler: they are projected.
create database if not exists mitsuke;

create external table if not exists mitsuke.statements (
    `writer` string,
    `seq` bigint,
    `at` timestamp,
    `session_id` string,
    `ended_at` timestamp,
    `duration_us` bigint,
    `statement_no` bigint,
    `transaction_no` bigint,
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
    `rows_returned` bigint,
    `rows_affected` bigint,
    `bytes_out` bigint,
    `bytes_in` bigint,
    `personal_rows` bigint,
    `persons` bigint,
    `subjects` array<string>,
    `literals` array<string>,
    `outcome` string,
    `sqlstate` string,
    `error` string,
    `policies` array<string>,
    `permit` string,
    `context` string,
    `ticket` string,
    `stacked` bigint,
    `derived` array<string>,
    `baits` array<string>,
    `member_of` array<string>
)
partitioned by (`dt` date)
stored as parquet
location 'LOG/statements/'
tblproperties ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW');

create external table if not exists mitsuke.transactions (
    `writer` string,
    `seq` bigint,
    `at` timestamp,
    `session_id` string,
    `transaction_no` bigint,
    `ended_at` timestamp,
    `outcome` string,
    `statements` bigint,
    `rows_returned` bigint,
    `rows_affected` bigint,
    `personal_rows` bigint,
    `persons` bigint,
    `relations_read` array<string>,
    `relations_written` array<string>,
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string,
    `member_of` array<string>
)
partitioned by (`dt` date)
stored as parquet
location 'LOG/transactions/'
tblproperties ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW');

create external table if not exists mitsuke.sessions (
    `writer` string,
    `seq` bigint,
    `at` timestamp,
    `session_id` string,
    `ended_at` timestamp,
    `outcome` string,
    `sqlstate` string,
    `auth_method` string,
    `tls_version` string,
    `certificate` string,
    `server_version` string,
    `statements` bigint,
    `bytes_out` bigint,
    `bytes_in` bigint,
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string,
    `member_of` array<string>
)
partitioned by (`dt` date)
stored as parquet
location 'LOG/sessions/'
tblproperties ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW');

create external table if not exists mitsuke.findings (
    `writer` string,
    `seq` bigint,
    `at` timestamp,
    `session_id` string,
    `finding_id` string,
    `policy` string,
    `title` string,
    `severity` string,
    `action` string,
    `observed` bigint,
    `threshold` bigint,
    `measure` string,
    `within_us` bigint,
    `evidence` array<bigint>,
    `explanation` string,
    `tags` array<string>,
    `database` string,
    `db_user` string,
    `role` string,
    `end_user` string,
    `application_name` string,
    `client_addr` string
)
partitioned by (`dt` date)
stored as parquet
location 'LOG/findings/'
tblproperties ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW');

create external table if not exists mitsuke.reviews (
    `writer` string,
    `seq` bigint,
    `at` timestamp,
    `session_id` string,
    `reviewer` string,
    `about` string,
    `verdict` string,
    `comment` string
)
partitioned by (`dt` date)
stored as parquet
location 'LOG/reviews/'
tblproperties ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW');
