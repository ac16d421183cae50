//! The closed vocabularies of the log: words that scripts and policies compare with.

use super::field::vocabulary;

vocabulary! {
    /// How a statement was sent.
    Protocol {
        /// A Query message.
        Simple = "simple",
        /// Parse, Bind, Execute.
        Extended = "extended",
        /// A FunctionCall message.
        Fastpath = "fastpath",
        /// A command of the replication grammar.
        Replication = "replication",
    }
}

vocabulary! {
    /// What a statement does.
    Kind {
        /// Reads.
        Select = "select",
        /// Adds rows.
        Insert = "insert",
        /// Changes rows.
        Update = "update",
        /// Removes rows.
        Delete = "delete",
        /// MERGE.
        Merge = "merge",
        /// COPY … TO.
        CopyOut = "copy_out",
        /// COPY … FROM.
        CopyIn = "copy_in",
        /// FETCH or MOVE from a cursor.
        Fetch = "fetch",
        /// CALL of a procedure, or a function call message.
        Call = "call",
        /// An anonymous code block.
        Do = "do",
        /// CREATE, ALTER, DROP and their kin.
        Ddl = "ddl",
        /// GRANT, REVOKE, and changes to roles.
        Grant = "grant",
        /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their kin.
        Transaction = "transaction",
        /// SET, RESET, SHOW, DISCARD.
        Set = "set",
        /// A replication command.
        Replication = "replication",
        /// No statement of its own: what another session's NOTIFY says reached this one.
        Notification = "notification",
        /// Everything else.
        Other = "other",
    }
}

vocabulary! {
    /// How much of the text was understood.
    Parse {
        /// Both parsers took it and agree.
        Full = "full",
        /// PostgreSQL's grammar took it; output columns could not be followed.
        Summary = "summary",
        /// No parser took it.
        None = "none",
    }
}

vocabulary! {
    /// How far `columns` can be relied on.
    Certainty {
        /// Every source agrees.
        Exact = "exact",
        /// Follows from the text or the catalog, not seen on the wire.
        Inferred = "inferred",
        /// The worst that could be, because it could not be known.
        Assumed = "assumed",
    }
}

vocabulary! {
    /// What was known of the database's catalog.
    CatalogState {
        /// Read, and no change seen since.
        Fresh = "fresh",
        /// A change was seen that is not read yet, or the last refresh failed.
        Stale = "stale",
        /// Never read.
        None = "none",
    }
}

vocabulary! {
    /// How a statement ended.
    Outcome {
        /// It completed.
        Ok = "ok",
        /// The server answered with an error.
        Error = "error",
        /// A policy kept it from running.
        Denied = "denied",
        /// A policy ended it while it ran.
        Cut = "cut",
        /// The client cancelled it (SQLSTATE 57014).
        Cancelled = "cancelled",
        /// The server passed over it after an earlier error, or it was bound and never executed.
        Skipped = "skipped",
        /// Its end was not seen.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// Whether a statement's comment, and so the end user in it, is vouched for by a signature.
    Proof {
        /// It is, and the signature is of now.
        Signed = "signed",
        /// Nothing says that it is signed.
        Unsigned = "unsigned",
        /// The signature is good, and of another time: a copy, or clocks that are apart.
        Stale = "stale",
        /// The signature is not of this statement, of these words, or of a key that is known.
        Forged = "forged",
    }
}

vocabulary! {
    /// How a transaction ended.
    TransactionOutcome {
        /// COMMIT, or the end of an implicit transaction.
        Committed = "committed",
        /// ROLLBACK.
        RolledBack = "rolled_back",
        /// An error aborted it.
        Failed = "failed",
        /// The connection ended first.
        Disconnected = "disconnected",
    }
}

vocabulary! {
    /// How a session ended.
    SessionOutcome {
        /// The client said goodbye, or closed the connection while idle.
        Closed = "closed",
        /// Turned away before or at authentication, for another reason than a wrong credential.
        Refused = "refused",
        /// The credential was wrong (SQLSTATE class 28).
        AuthFailed = "auth_failed",
        /// A connection broke, or the stream could not be followed.
        Lost = "lost",
        /// The server or the sidecar ended it.
        Terminated = "terminated",
    }
}

vocabulary! {
    /// How bad a finding is, rising.
    Severity {
        /// Worth knowing.
        Low = "low",
        /// Look this week.
        Medium = "medium",
        /// Look today.
        High = "high",
        /// Look now.
        Critical = "critical",
    }
}

vocabulary! {
    /// What a policy does when it matches.
    Action {
        /// Tells.
        Alert = "alert",
        /// Keeps the statement from running.
        Deny = "deny",
        /// Ends the session while the result flows.
        Cut = "cut",
        /// Refuses the user or address for a time.
        Quarantine = "quarantine",
    }
}

vocabulary! {
    /// What a person decided.
    Verdict {
        /// Seen.
        Acknowledged = "acknowledged",
        /// Harmless.
        Benign = "benign",
        /// An incident.
        Confirmed = "confirmed",
        /// A report or log, signed.
        SignedOff = "signed_off",
        /// The log was read.
        Queried = "queried",
    }
}
