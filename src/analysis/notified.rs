//! What reaches a client that it did not ask for in this statement: another session's NOTIFY. And what is asked for without SQL.
//!
//! In: [`Notified`], and what statements under way may be sending; a call by OID, a replication command. Out: a record of kind
//! `notification`, which has no text of its own; analyses. What was said is not kept anywhere.

use std::sync::Arc;

use super::identity::end_user;
use super::parsers::Pending;
use super::stage::Stage;
use super::statement::estimate;
use super::understood::Understood;
use crate::record::{Common, Kind, Outcome, Protocol, Statement, Text};
use crate::session::event::{Begun, Notified};
use crate::sql::{self, Analysis};

/// Statements under way that are looked at for what they may be sending. What one more sends is known when it has ended.
const UNDER_WAY_MAX: usize = 4_096;

impl Stage {
    /// The analysis of a statement that begins, or the promise of it.
    pub(super) fn asked(&mut self, begun: &Begun) -> Pending {
        let database = begun.who.database.as_deref();
        let told = |analysis| Pending::Ready(Arc::new([Arc::new(analysis)]));
        let command = match begun.protocol {
            Protocol::Replication => sql::replication(&String::from_utf8_lossy(&begun.text)),
            _ => None,
        };
        // The connection of a physical one names no database, and asks by SHOW alone.
        let shows = begun.protocol == Protocol::Replication && begun.text.starts_with(b"SHOW ");
        let names_one = command.as_ref().map_or(!shows, sql::is_of_a_database);
        if let Some(database) = database.filter(|_| names_one) {
            self.catalog.seen(database);
        }
        if let Some(command) = command {
            return told(command);
        }
        if begun.protocol == Protocol::Fastpath {
            let oid = std::str::from_utf8(&begun.text).ok().and_then(|oid| oid.parse().ok()).unwrap_or(0);
            let name = self.catalog.function_named(database.unwrap_or_default(), oid);
            return told(sql::called(name.as_deref(), oid));
        }
        self.parsers.begin(&begun.text, begun.protocol == Protocol::Extended)
    }

    /// Records that notifications arrived.
    pub(super) fn notified(&mut self, notified: &Notified) {
        let database: Text = notified.who.database.as_deref().unwrap_or_default().into();
        let under_way = self.under_way(&database);
        let follows: Vec<_> = under_way.iter().map(|understood| &understood.understanding.consequences).collect();
        let understanding = self.catalog.heard(&database, &notified.channel, &follows);
        let Some(session) = self.sessions.get_mut(&notified.who.session_id) else { return };
        let whose = session.whose(&notified.who);
        let settings = &session.saved.settings;
        let role = settings.role().or(whose.db_user.as_ref()).cloned();
        let end_user = end_user(
            &self.config.end_user,
            &Analysis::unknown(),
            None,
            settings.named(),
            whose.application_name.as_ref(),
            whose.who.certificate.as_ref(),
        );
        session.saved.statement_no = session.saved.statement_no.saturating_add(1);
        // One that says nothing tells of nobody.
        let says = understanding.personal && notified.payload_bytes > 0;
        let mut record = Statement {
            common: Common { at: notified.at, session_id: Some(whose.session_id.clone()), ..Common::default() },
            ended_at: Some(notified.at),
            duration_us: Some(0),
            statement_no: session.saved.statement_no,
            database: whose.database.clone(),
            db_user: whose.db_user.clone(),
            role,
            end_user,
            application_name: whose.application_name.clone(),
            client_addr: Some(whose.client_addr.clone()),
            kind: Some(Kind::Notification),
            query: Some(format!("notification on \"{}\"", notified.channel.replace('"', "\"\"")).into()),
            certainty: Some(understanding.certainty),
            catalog: Some(understanding.state),
            relations: Some(Arc::default()),
            columns: Some(understanding.columns.iter().filter(|_| says).cloned().collect()),
            level: understanding.level.filter(|_| says),
            functions: Some(Arc::default()),
            rows_returned: Some(notified.count),
            rows_affected: Some(0),
            bytes_out: Some(notified.bytes_out),
            bytes_in: Some(0),
            personal_rows: Some(if says { notified.count } else { 0 }),
            persons: Some(if says { estimate(notified.count, notified.payload_bytes, None) } else { 0 }),
            outcome: Some(Outcome::Ok),
            ..Statement::default()
        };
        self.log.number(&mut record);
        let findings = self.engine.lock().statement_after(&mut record, None, None);
        self.log.append(record);
        self.uncommitted = self.uncommitted.saturating_add(1);
        self.findings(findings);
    }

    /// What statements of a database touch that have not ended: the server tells whoever listens before it tells the sender that
    /// its statement is done.
    fn under_way(&mut self, database: &Text) -> Vec<Arc<Understood>> {
        let mut found = Vec::new();
        for session in self.sessions.values_mut() {
            if session.open.is_empty() || session.saved.who.database.as_deref() != Some(&**database) {
                continue;
            }
            let who = Arc::clone(&session.saved.who);
            let whose = session.whose(&who);
            for (number, mut open) in std::mem::take(&mut session.open) {
                let analyses = self.parsers.finish(&mut open.pending);
                for analysis in analyses.iter().skip(open.parts) {
                    if found.len() < UNDER_WAY_MAX {
                        let meant = session.meant(analysis);
                        let context = session.context(&whose);
                        let recent = &mut session.recent;
                        found.push(self.understood.understand(&self.catalog, recent, &meant, context, None));
                    }
                }
                open.pending = Some(Pending::Ready(analyses));
                session.open.insert(number, open);
            }
        }
        found
    }
}
