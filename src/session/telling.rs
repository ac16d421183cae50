//! What the server sends that no statement of this session asked for, or that is not all rows.
//!
//! In: NotificationResponse, and messages of a replication stream. Out: [`Event::Notified`]; a count of changes that leaves out what is
//! none.

use super::OutOfStep;
use super::event::{Event, Notified};
use super::run::text;
use super::tracker::{Tracker, length};
use crate::clock::Timestamp;
use crate::wire::backend;
use crate::wire::frame::Header;

/// What stands around channel and text: the sender's process, and a zero behind each.
const NOTIFICATION_FRAME_BYTES: u64 = 6;

impl Tracker {
    /// NotificationResponse: somebody's NOTIFY.
    pub(super) fn notified(
        &mut self,
        header: Header,
        body: &[u8],
        at: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), OutOfStep> {
        let channel = backend::notification_channel(body).map_err(|_| OutOfStep::Malformed { kind: header.kind })?;
        let frame = NOTIFICATION_FRAME_BYTES.saturating_add(length(channel));
        let payload_bytes = u64::from(header.body_bytes()).saturating_sub(frame);
        let channel = text(channel);
        let bytes_out = header.total_bytes();
        match events.last_mut() {
            Some(Event::Notified(last)) if last.channel == channel => {
                last.count = last.count.saturating_add(1);
                last.bytes_out = last.bytes_out.saturating_add(bytes_out);
                last.payload_bytes = last.payload_bytes.saturating_add(payload_bytes);
            }
            _ => events.push(Event::Notified(Notified {
                who: self.who.clone(),
                at,
                channel,
                count: 1,
                bytes_out,
                payload_bytes,
            })),
        }
        Ok(())
    }

    /// A message of `pgoutput`'s: it is a row only where a row was inserted, changed or removed (PostgreSQL manual, "Logical
    /// Replication Message Formats"). `w`, three numbers of eight bytes, then the change.
    pub(super) fn streamed(&mut self, body: &[u8]) {
        let is_row = matches!(body, [b'w', rest @ ..] if matches!(rest.get(24), Some(b'I' | b'U' | b'D')));
        if let Some(run) = self.current.as_mut().filter(|_| !is_row) {
            run.rows = run.rows.saturating_sub(1);
        }
    }
}
