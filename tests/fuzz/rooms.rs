//! The rooms under test, as the library has them: the same files, and nothing besides.
//!
//! In: `src/`. Out: `mitsuke::wire` and `mitsuke::session` for the targets, and for the model that the integration tests share.

#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/record/mod.rs"]
pub mod record;
#[path = "../../src/detect/mod.rs"]
pub mod detect;
#[path = "../../src/distinct.rs"]
pub mod distinct;
#[path = "../../src/wire/mod.rs"]
pub mod wire;
#[path = "../../src/session/mod.rs"]
pub mod session;
