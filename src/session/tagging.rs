//! What a command's tag says of prepared statements and portals.
//!
//! In: CommandComplete's tag. Out: what names mean from then on. The text of a command is not read here: where the tag
//! says that some name has lost its meaning and not which, every name that could be it has.

use super::event::Event;
use super::names::Portal;
use super::run::Run;
use super::tracker::{How, Tracker};
use crate::clock::Timestamp;
use crate::record::Outcome;

impl Tracker {
    /// A command has completed.
    pub(super) fn tagged(&mut self, tag: &str, at: Timestamp, events: &mut Vec<Event>) {
        let gone = match tag {
            "COMMIT" | "PREPARE TRANSACTION" => self.names.remove_portals(),
            "ROLLBACK" => self.names.roll_back(),
            "CLOSE CURSOR" | "CLOSE CURSOR ALL" => self.names.doubt_portals(),
            "SAVEPOINT" => return self.names.set_savepoint(),
            "DEALLOCATE" => return self.names.deallocated(),
            "PREPARE" => return self.names.prepared_by_sql(),
            "DEALLOCATE ALL" | "DISCARD ALL" => return self.names.remove_named_statements(),
            _ => return,
        };
        for portal in gone {
            self.end_portal(portal, at, events);
        }
    }

    /// The transaction has ended.
    pub(super) fn end_portals(&mut self, at: Timestamp, events: &mut Vec<Event>) {
        for portal in self.names.remove_portals() {
            self.end_portal(portal, at, events);
        }
    }

    /// A portal is gone: what it returned is all it will. One that was never executed was planned all the same, and
    /// functions may have run for that: it is told as skipped.
    pub(super) fn end_portal(&mut self, portal: Portal, at: Timestamp, events: &mut Vec<Event>) {
        if let Some(run) = portal.run {
            self.end(*run, How::plain(Outcome::Ok), at, events);
        } else if !portal.executed {
            let no = self.begin_extended(&portal.prepared, portal.parameters.clone(), 0, at, events);
            self.end(Run::new(no, 0), How::plain(Outcome::Skipped), at, events);
        }
    }
}
