//! What PostgreSQL brings that shows more than its text says: functions that read whatever they are told, and catalogs that hold values of tables.
//!
//! In: a name, or an OID. Out: whether it is one of these. PURE. The lists are the manual's (System Catalogs, System Functions), and those of its extensions.

use crate::sql::RelationName;

/// Whether it is one of PostgreSQL's functions that show a comment.
pub(super) fn reads_comment(own: &str) -> bool {
    matches!(own, "obj_description" | "col_description" | "shobj_description")
}

/// Whether a relation of this name holds comments.
pub(super) fn holds_comments(name: &RelationName) -> bool {
    matches!(&*name.name, "pg_description" | "pg_shdescription")
}

/// PostgreSQL's functions for large objects by OID, which are the same in every version: what drivers call by it before the catalog is
/// known.
pub(super) fn of_large_objects(oid: u32) -> Option<&'static str> {
    Some(match oid {
        715 => "lo_create",
        764 => "lo_import",
        765 => "lo_export",
        952 => "lo_open",
        953 => "lo_close",
        954 => "loread",
        955 => "lowrite",
        956 => "lo_lseek",
        957 => "lo_creat",
        958 => "lo_tell",
        964 => "lo_unlink",
        1004 => "lo_truncate",
        3170 => "lo_lseek64",
        3171 => "lo_tell64",
        3172 => "lo_truncate64",
        3457 => "lo_from_bytea",
        3458 | 3459 => "lo_get",
        3460 => "lo_put",
        _ => return None,
    })
}

/// PostgreSQL's functions that take a statement, a table's name or a file's, and may read anything by it.
pub(super) const READING_ANYTHING: [&str; 19] = [
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "cursor_to_xml",
    "ts_stat",
    "ts_rewrite",
    "pg_read_file",
    "pg_read_binary_file",
    "lo_import",
    "pg_logical_slot_get_changes",
    "pg_logical_slot_peek_changes",
    "pg_logical_slot_get_binary_changes",
    "pg_logical_slot_peek_binary_changes",
    "pg_logical_emit_message",
];

/// Whether it is one of these.
pub(super) fn reads_anything(name: &str) -> bool {
    READING_ANYTHING.contains(&name.strip_prefix("pg_catalog.").unwrap_or(name))
}

/// Whether a relation of this name holds the planner's statistics: the most common values of every column are among them.
pub(super) fn holds_statistics(name: &RelationName) -> bool {
    const STATISTICS: [&str; 5] =
        ["pg_stats", "pg_statistic", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic_ext_data"];
    STATISTICS.contains(&&*name.name)
}

/// Whether it is the OID of a table of these, `pg_statistic` or `pg_statistic_ext_data`, which are the same in every version.
pub(super) fn is_of_statistics(oid: u32) -> bool {
    matches!(oid, 2619 | 3429)
}

/// Functions of extensions that take a statement or read a page of the disk.
pub(super) fn takes_sql(name: &str) -> bool {
    let begins = [
        "dblink",
        "crosstab",
        "connectby",
        "xpath_table",
        "heap_page",
        "bt_page",
        "get_raw_page",
        "pg_file_",
        "pg_get_wal",
        "pg_dirtyread",
    ];
    begins.iter().any(|begin| name.starts_with(begin)) || name == "xquery_table"
}
