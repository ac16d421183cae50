//! Events → records: the stage beside the data plane that understands, judges and logs.
//!
//! In: events from the intake journal, in order, live or replayed after a crash: the same code either way. Out:
//! statements, transactions, sessions and findings, appended to the record journal.
