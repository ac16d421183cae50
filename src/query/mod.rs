//! SQL over the log: DataFusion over Parquet and journal as one table.
//!
//! In: a [`crate::audit`] lake and a text. Out: Arrow record batches. Only with the feature `query`.
