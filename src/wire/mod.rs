//! Bytes → bounded frames → messages, and the few messages that the sidecar itself originates.
//!
//! In: bytes of the PostgreSQL wire protocol 3.x. Out: frames cut by length exactly as PostgreSQL cuts them, and
//! readers that cannot look beyond their frame. PURE. Refuses to re-encode: relayed bytes are never made here.
