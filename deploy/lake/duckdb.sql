-- The log's tables. Put its folder or prefix in place of LOG: sed 's#LOG#s3://bucket/prefix#'.
-- DuckDB: duckdb mitsuke.duckdb < duckdb.sql. LOG may be a folder or, with httpfs, s3://bucket/prefix.

create or replace view statements as
select "writer", "seq", "at", "session_id", "ended_at", "duration_us", "statement_no", "transaction_no", "database", "db_user", "role", "end_user", "application_name", "client_addr", "protocol", "kind", "query", "fingerprint", "parse", "certainty", "catalog", "relations", "columns", "level", "functions", "rows_returned", "rows_affected", "bytes_out", "bytes_in", "personal_rows", "persons", "subjects", "literals", "outcome", "sqlstate", "error", "policies", "permit", "context", "ticket", "stacked", "derived", "baits", "member_of", dt
  from read_parquet('LOG/statements/dt=*/*.parquet', hive_partitioning = true, union_by_name = true);

create or replace view transactions as
select "writer", "seq", "at", "session_id", "transaction_no", "ended_at", "outcome", "statements", "rows_returned", "rows_affected", "personal_rows", "persons", "relations_read", "relations_written", "database", "db_user", "role", "end_user", "application_name", "client_addr", "member_of", dt
  from read_parquet('LOG/transactions/dt=*/*.parquet', hive_partitioning = true, union_by_name = true);

create or replace view sessions as
select "writer", "seq", "at", "session_id", "ended_at", "outcome", "sqlstate", "auth_method", "tls_version", "certificate", "server_version", "statements", "bytes_out", "bytes_in", "database", "db_user", "role", "end_user", "application_name", "client_addr", "member_of", dt
  from read_parquet('LOG/sessions/dt=*/*.parquet', hive_partitioning = true, union_by_name = true);

create or replace view findings as
select "writer", "seq", "at", "session_id", "finding_id", "policy", "title", "severity", "action", "observed", "threshold", "measure", "within_us", "evidence", "explanation", "tags", "database", "db_user", "role", "end_user", "application_name", "client_addr", dt
  from read_parquet('LOG/findings/dt=*/*.parquet', hive_partitioning = true, union_by_name = true);

create or replace view reviews as
select "writer", "seq", "at", "session_id", "reviewer", "about", "verdict", "comment", dt
  from read_parquet('LOG/reviews/dt=*/*.parquet', hive_partitioning = true, union_by_name = true);
