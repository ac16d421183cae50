//! What is logged, and nothing else: one struct a table, one line a column.
//!
//! A table is declared once, below; its struct, its Arrow schema, the names a policy may use and the keys of a
//! test case all follow from that declaration. PURE: values only.

pub mod field;
pub mod vocabulary;

use std::sync::Arc;

pub use self::field::{Field, FieldKind, Shared, Text, Texts, Value};
pub use self::vocabulary::{
    Action, CatalogState, Certainty, Kind, Outcome, Parse, Proof, Protocol, SessionOutcome, Severity,
    TransactionOutcome, Verdict,
};
use crate::clock::Timestamp;

/// One column of a table: its name, its type, and how to reach it in a record of type `R`.
pub struct Column<R> {
    /// As the contract spells it.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Reads it.
    pub get: fn(&R) -> Value<'_>,
    /// Writes it; `false`, and no change, where the value does not fit.
    pub set: fn(&mut R, Value<'_>) -> bool,
    /// As `set`, of a value that many records have.
    pub share: fn(&mut R, Shared<'_>) -> bool,
}

/// A record that has a table of its own.
pub trait Table: Sized + Clone + Default + Send + Sync + 'static {
    /// The table's name, and its folder's.
    const NAME: &'static str;
    /// Its columns, in order, the common ones first.
    fn columns() -> &'static [Column<Self>];
    /// How long the texts in all of them are together, without a call a column.
    fn text_bytes(&self) -> usize;
    /// The common columns.
    fn common(&self) -> &Common;
    /// The common columns, to fill.
    fn common_mut(&mut self) -> &mut Common;

    /// The column of that name.
    fn column(name: &str) -> Option<&'static Column<Self>> {
        Self::columns().iter().find(|column| column.name == name)
    }
}

/// The columns that every table begins with.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Common {
    /// Which sidecar wrote it.
    pub writer: Text,
    /// Its number among this writer's records of this table: from 1, without a gap.
    pub seq: u64,
    /// When it began, microseconds UTC.
    pub at: Timestamp,
    /// The connection it belongs to (a UUID); null for records of no connection.
    pub session_id: Option<Text>,
}

macro_rules! column {
    ($record:ty, $name:ident : $type:ty, $($path:ident).+) => {
        Column::<$record> {
            name: stringify!($name),
            kind: <$type as Field>::KIND,
            nullable: <$type as Field>::NULLABLE,
            get: |record| Field::value(&record.$($path).+),
            set: |record, value| match <$type as Field>::from_value(value) {
                Some(field) => { record.$($path).+ = field; true }
                None => false,
            },
            share: |record, shared| match <$type as Field>::from_shared(shared) {
                Some(field) => { record.$($path).+ = field; true }
                None => false,
            },
        }
    };
}

macro_rules! table {
    ($(#[$doc:meta])* $record:ident, $table:literal { $($(#[$fdoc:meta])* $name:ident : $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $record {
            /// The common columns.
            pub common: Common,
            $($(#[$fdoc])* pub $name: $type),+
        }

        impl Table for $record {
            const NAME: &'static str = $table;
            fn columns() -> &'static [Column<Self>] {
                static COLUMNS: &[Column<$record>] = &[
                    column!($record, writer: Text, common.writer),
                    column!($record, seq: u64, common.seq),
                    column!($record, at: Timestamp, common.at),
                    column!($record, session_id: Option<Text>, common.session_id),
                    $(column!($record, $name: $type, $name)),+
                ];
                COLUMNS
            }
            fn text_bytes(&self) -> usize {
                let common = self.common.writer.len() + Field::value(&self.common.session_id).text_bytes();
                common $(+ Field::value(&self.$name).text_bytes())+
            }
            fn common(&self) -> &Common { &self.common }
            fn common_mut(&mut self) -> &mut Common { &mut self.common }
        }
    };
}

table! {
    /// One executed statement.
    Statement, "statements" {
        /// When its end was seen.
        ended_at: Option<Timestamp>,
        /// From its arrival to its end, microseconds.
        duration_us: Option<u64>,
        /// Its number in the session, from 1.
        statement_no: u64,
        /// Its transaction's number in the session, from 1.
        transaction_no: Option<u64>,
        /// The database connected to.
        database: Option<Text>,
        /// The authenticated role.
        db_user: Option<Text>,
        /// The role in force (SET ROLE, SET SESSION AUTHORIZATION).
        role: Option<Text>,
        /// Who is behind a shared role, as `[identity]` found it.
        end_user: Option<Text>,
        /// The session's application_name.
        application_name: Option<Text>,
        /// The client's IP address, or `local` for a unix socket.
        client_addr: Option<Text>,
        /// How it was sent.
        protocol: Option<Protocol>,
        /// What it does.
        kind: Option<Kind>,
        /// Its text with the literals out.
        query: Option<Text>,
        /// Equal for statements that differ in literals only.
        fingerprint: Option<Text>,
        /// How much of the text was understood.
        parse: Option<Parse>,
        /// How far `columns` can be relied on.
        certainty: Option<Certainty>,
        /// What was known of the catalog.
        catalog: Option<CatalogState>,
        /// Base relations read or written, `schema.table`.
        relations: Option<Texts>,
        /// Classified columns that reached the client, `schema.table.column`.
        columns: Option<Texts>,
        /// The highest classification among them.
        level: Option<Text>,
        /// Functions called.
        functions: Option<Texts>,
        /// Rows sent to the client.
        rows_returned: Option<u64>,
        /// Rows written.
        rows_affected: Option<u64>,
        /// Bytes of result sent to the client.
        bytes_out: Option<u64>,
        /// Bytes received from the client for it.
        bytes_in: Option<u64>,
        /// Rows returned that carry a column of level `personal` or above.
        personal_rows: Option<u64>,
        /// Distinct data subjects among them.
        persons: Option<u64>,
        /// Keyed hashes of the data subjects, bounded.
        subjects: Option<Texts>,
        /// Keyed hashes of its constants and parameters, bounded; null where they are dropped.
        literals: Option<Texts>,
        /// How it ended.
        outcome: Option<Outcome>,
        /// The server's SQLSTATE, where it ended in an error.
        sqlstate: Option<Text>,
        /// The server's message with the values out.
        error: Option<Text>,
        /// The policies that matched.
        policies: Option<Texts>,
        /// The permit that covers it.
        permit: Option<Text>,
        /// Whether its comment is signed; null where no keys are known to sign with.
        context: Option<Proof>,
        /// The ticket that its comment names: `-- ticket: OPS-1234`.
        ticket: Option<Text>,
        /// How many statements the Query had that it came in; null where it came otherwise.
        stacked: Option<u64>,
        /// Columns that it made, or filled, from classified ones, where others can see them: `schema.table.column`, or `schema.table.*`
        /// where it is not known which. A view's as well.
        derived: Option<Texts>,
        /// Names of the baits whose rows it returned: made-up people, whom nobody has a reason to look up.
        baits: Option<Texts>,
        /// Roles that `db_user` is a member of, directly or not, sorted; null where the catalog is not known.
        member_of: Option<Texts>,
    }
}

table! {
    /// BEGIN to its end; an implicit one only if it wrote or read classified data.
    Transaction, "transactions" {
        /// Its number in the session, from 1.
        transaction_no: u64,
        /// When its end was seen.
        ended_at: Option<Timestamp>,
        /// How it ended.
        outcome: Option<TransactionOutcome>,
        /// Statements in it, those that open and close it included.
        statements: Option<u64>,
        /// Rows sent to the client.
        rows_returned: Option<u64>,
        /// Rows written.
        rows_affected: Option<u64>,
        /// Sum of its statements' `personal_rows`.
        personal_rows: Option<u64>,
        /// Sum of its statements' `persons`: an upper bound where they overlap.
        persons: Option<u64>,
        /// Base relations read.
        relations_read: Option<Texts>,
        /// Base relations written.
        relations_written: Option<Texts>,
        /// The database connected to.
        database: Option<Text>,
        /// The authenticated role.
        db_user: Option<Text>,
        /// The role in force at its end.
        role: Option<Text>,
        /// Who is behind a shared role.
        end_user: Option<Text>,
        /// The session's application_name.
        application_name: Option<Text>,
        /// The client's address.
        client_addr: Option<Text>,
        /// Roles that `db_user` is a member of, directly or not, sorted; null where the catalog is not known.
        member_of: Option<Texts>,
    }
}

table! {
    /// One connection, failed ones too.
    Session, "sessions" {
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// How it ended.
        outcome: Option<SessionOutcome>,
        /// The SQLSTATE of the error that ended it.
        sqlstate: Option<Text>,
        /// What the server asked for: trust, password, md5, scram-sha-256, gss, sspi, oauth.
        auth_method: Option<Text>,
        /// TLS on the client's leg, null for none.
        tls_version: Option<Text>,
        /// The subject of the client's certificate, null for none.
        certificate: Option<Text>,
        /// The server's `server_version`.
        server_version: Option<Text>,
        /// Statements executed.
        statements: Option<u64>,
        /// Bytes sent to the client.
        bytes_out: Option<u64>,
        /// Bytes received from the client.
        bytes_in: Option<u64>,
        /// The database asked for.
        database: Option<Text>,
        /// The role asked for, or authenticated.
        db_user: Option<Text>,
        /// The role in force at its end.
        role: Option<Text>,
        /// Who is behind a shared role.
        end_user: Option<Text>,
        /// The last application_name.
        application_name: Option<Text>,
        /// The client's address.
        client_addr: Option<Text>,
        /// Roles that `db_user` is a member of, directly or not, sorted; null where the catalog is not known.
        member_of: Option<Texts>,
    }
}

table! {
    /// A policy that matched.
    Finding, "findings" {
        /// A UUID.
        finding_id: Text,
        /// The policy's id.
        policy: Text,
        /// The policy's title.
        title: Text,
        /// How bad it is.
        severity: Option<Severity>,
        /// What was done.
        action: Option<Action>,
        /// The value that was judged (a window's sum, a statement's persons); null where there is none.
        observed: Option<u64>,
        /// The value it was held against.
        threshold: Option<u64>,
        /// What `observed` counts: a column's name (`persons`), `statements`, `sessions`, `transactions`, or `distinct COLUMN`.
        measure: Option<Text>,
        /// Over how long, microseconds; null for one record.
        within_us: Option<u64>,
        /// `seq` of the statements that led to it, bounded.
        evidence: Option<Arc<[u64]>>,
        /// A sentence for a person.
        explanation: Option<Text>,
        /// The policy's tags.
        tags: Option<Texts>,
        /// The database connected to.
        database: Option<Text>,
        /// The authenticated role.
        db_user: Option<Text>,
        /// The role in force.
        role: Option<Text>,
        /// Who is behind a shared role.
        end_user: Option<Text>,
        /// The session's application_name.
        application_name: Option<Text>,
        /// The client's address.
        client_addr: Option<Text>,
    }
}

table! {
    /// What a person did with a finding, a report or the log.
    Review, "reviews" {
        /// Who.
        reviewer: Option<Text>,
        /// A finding's id, a report's week, a query's text with the literals out.
        about: Option<Text>,
        /// What they decided.
        verdict: Option<Verdict>,
        /// In their words.
        comment: Option<Text>,
    }
}
