//! The play: an ordinary day of the ticket shop, and what somebody does at its end; ordinary weeks before it, if wished for.
//!
//! In: where the sidecar listens, the passwords, the clock that the sidecar tells the time by. Out: real statements of a
//! real driver, and a [`Tally`] of them. The clock is moved before each act, so that a day passes in seconds.

pub mod day;
pub(super) mod schedule;
pub mod seat;
mod stage;
pub mod tally;

use std::net::SocketAddr;

use self::day::Day;
use self::schedule::{Act, ordinary, schedule};
use self::stage::Stage;
use self::tally::Tally;
use super::Error;
use super::shop::Role;
use super::shop::dice::Dice;
use crate::clock::{Clock, Timestamp};

const SEED: u64 = 20_261_124;

/// What the play needs.
pub struct Play<'a> {
    /// Where to connect.
    pub server: SocketAddr,
    /// The days that pass before it, without a word, and whether offices are open on each.
    pub before: &'a [(Day, bool)],
    /// The day that passes.
    pub day: &'a Day,
    /// The sidecar's clock.
    pub clock: &'a Clock,
    /// Each role's password.
    pub password: &'a (dyn Fn(Role) -> String + Sync),
    /// Told of each act of the commentary.
    pub say: &'a (dyn Fn(Timestamp, &str) + Sync),
}

/// What the play came to.
pub struct Played {
    /// What was read.
    pub tally: Tally,
    /// People whom the insider copied, as lines that arrived at the insider.
    pub copied: u64,
}

impl Play<'_> {
    /// Plays to the end of the day.
    pub async fn run(&self) -> Result<Played, Error> {
        let mut stage = Stage::new(self);
        for ((day, offices), seed) in self.before.iter().zip(SEED + 1..) {
            self.pass(&mut stage, day, ordinary(&mut Dice::new(seed), *offices)).await?;
        }
        self.pass(&mut stage, self.day, schedule(&mut Dice::new(SEED))).await?;
        Ok(stage.ended())
    }

    async fn pass(&self, stage: &mut Stage<'_>, day: &Day, acts: Vec<(u32, Act)>) -> Result<(), Error> {
        for (second, act) in acts {
            let at = day.at(second);
            self.clock.set(at);
            stage.act(at, &act).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
