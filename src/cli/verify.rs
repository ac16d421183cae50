//! `mitsuke verify`: whether the log is complete and unaltered.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use super::bar::bar;
use super::{Global, Status};
use crate::audit::{self, Deleted, HEAD_DIGITS_MIN, Held, Proof, PublicKey, ToldGap, Unsealed, Verification};
use crate::config::Config;

/// The form of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// For a script, with stable keys
    Json,
}

/// Proves the log complete and unaltered, or names each file and line that is not
///
/// Needs the log, in its folder or store, and the public key, no secret. Each file is hashed and held against the chain, which is signed
/// and of which every line names the one before. Records that are not sealed into a file yet are counted and checked, not proven. What passed unrecorded, by
/// [log].when_unwritable = "pass", is told, and is no fault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The public key lies beside [log].signing_key as .pub; keep a copy where nobody who can write the log can write. A report
prints the chain's head: held against it, a log that was written anew, or cut off at its end, is found out.
Exit status: 0 complete and unaltered; 1 not; 2 it could not be told.

Examples:
  mitsuke verify --key mitsuke-log.signing.pub
  mitsuke verify --log /mnt/copy/mitsuke-log --key auditor.pub --head 5f1e6cbd9a0d4c1e
  mitsuke verify --log s3://audit/mitsuke --key auditor.pub")]
pub struct Verify {
    /// A public key that may sign, PEM; once or more [default: whichever key the chain names]
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The hash of a line that a chain must still have, as a report prints it, or its first 16 digits or more; once or more
    #[arg(long, value_name = "HASH", value_parser = head)]
    head: Vec<String>,
    /// The form of the outcome
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn head(text: &str) -> Result<String, String> {
    let is_one = text.len() >= HEAD_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("write {HEAD_DIGITS_MIN} hexadecimal digits of a head or more, as a report prints it"))
    }
}

impl Verify {
    /// Proves it.
    pub fn run(self, global: &Global) -> anyhow::Result<Status> {
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let keys: Result<Vec<PublicKey>, audit::Error> = self.key.iter().map(|path| PublicKey::load(path)).collect();
        let held = Held { keys: keys?, heads: self.head };
        let bar = bar("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
        let verification = audit::verify(&audit::Place::of(&config.audit)?, &held, &mut |progress| {
            bar.set_length(progress.all);
            bar.set_position(progress.done);
        });
        let verification = verification.map_err(super::unopened)?;
        bar.finish_and_clear();
        let text = match self.format {
            Format::Text => text(&verification, held.keys.is_empty()),
            Format::Json => format!("{:#}\n", json(&verification)),
        };
        // Whoever closed the pipe has read enough.
        drop(std::io::stdout().lock().write_all(text.as_bytes()));
        Ok(if verification.faults.is_empty() { Status::Done } else { Status::DoesNotHold })
    }
}

fn text(verification: &Verification, key_not_given: bool) -> String {
    let mut lines: Vec<String> = verification.faults.iter().map(ToString::to_string).collect();
    lines.extend(verification.proofs.iter().map(proof));
    if key_not_given && !verification.proofs.is_empty() {
        lines.push("The chain itself named the key: give the one that you keep, with --key.".to_owned());
    }
    let unsealed = match &verification.unsealed {
        None => " What its sidecars have not sealed and taken up yet is not seen from here.".to_owned(),
        Some(Unsealed { records: 0, .. }) => String::new(),
        Some(Unsealed { records: 1, from, .. }) => {
            format!(" One record, of {from}, is not sealed yet: it is whole, and not proven.")
        }
        Some(Unsealed { records, from, until }) => {
            format!(" {records} records, of {from} to {until}, are not sealed yet: they are whole, and not proven.")
        }
    };
    let gaps = verification.proofs.iter().map(|proof| proof.gaps.len()).sum::<usize>();
    lines.push(match verification.faults.len() {
        0 if gaps == 1 => format!("Unaltered, and complete but for the gap that it tells of.{unsealed}"),
        0 if gaps > 1 => format!("Unaltered, and complete but for the {gaps} gaps that it tells of.{unsealed}"),
        0 => format!("Complete and unaltered.{unsealed}"),
        1 => format!("NOT complete and unaltered: 1 fault.{unsealed}"),
        faults => format!("NOT complete and unaltered: {faults} faults.{unsealed}"),
    });
    lines.join("\n") + "\n"
}

fn proof(proof: &Proof) -> String {
    let Proof { head, key, files, bytes, records, deleted, replaced, gaps, is_closed } = proof;
    let end = if *is_closed { "closed" } else { "open, or ended without closing" };
    let mut text = format!(
        "{}: {files} files, {records} records, {bytes} bytes; head {}, line {}, {end}; signed by {key}",
        head.writer, head.hash, head.number
    );
    if deleted.files > 0 {
        let Deleted { files, records, from, until, why } = deleted;
        let why = why.join(", ");
        text.push_str(&format!(
            "\n{}: {files} files with {records} records of {from} to {until} were deleted on purpose: {why}",
            head.writer
        ));
    }
    if *replaced > 0 {
        text.push_str(&format!("\n{}: {replaced} files were compacted: larger ones hold their records", head.writer));
    }
    for ToldGap { events, from, until, why, .. } in gaps {
        let time = |at: &Option<String>| at.clone().unwrap_or_else(|| "an unknown time".to_owned());
        text.push_str(&format!("\n{}: a gap: {events} events of {} to {} {why}", head.writer, time(from), time(until)));
    }
    text
}

fn json(verification: &Verification) -> serde_json::Value {
    let faults = verification.faults.iter().map(|fault| json!({ "place": fault.place, "what": fault.what }));
    let proofs = verification.proofs.iter().map(|proof| {
        json!({
            "writer": proof.head.writer,
            "head": proof.head.hash,
            "lines": proof.head.number,
            "closed": proof.is_closed,
            "key": proof.key.to_string(),
            "files": proof.files,
            "bytes": proof.bytes,
            "records": proof.records,
            "deleted": {
                "files": proof.deleted.files, "records": proof.deleted.records, "from": proof.deleted.from,
                "until": proof.deleted.until, "why": proof.deleted.why,
            },
            "compacted": proof.replaced,
            "gaps": proof.gaps,
        })
    });
    json!({
        "complete_and_unaltered": verification.faults.is_empty(),
        "unsealed": verification.unsealed.as_ref().map(|unsealed| unsealed.records),
        "unsealed_from": verification.unsealed.as_ref().map(|unsealed| &unsealed.from),
        "unsealed_until": verification.unsealed.as_ref().map(|unsealed| &unsealed.until),
        "faults": faults.collect::<Vec<_>>(),
        "writers": proofs.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_on_purpose_is_told_beside_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let key = audit::SigningKey::load_or_create(&folder.path().join("k.key")).unwrap().public();
        let head = audit::Head { writer: "db-1".to_owned(), number: 9, hash: "5f1e".to_owned() };
        let deleted = Deleted {
            files: 2,
            records: 30,
            from: "2025-01-01T00:00:00.000000Z".to_owned(),
            until: "2025-01-02T00:00:00.000000Z".to_owned(),
            why: vec!["older than 400 days".to_owned()],
        };
        let proof = Proof {
            head,
            key,
            files: 1,
            bytes: 7,
            records: 3,
            deleted,
            replaced: 6,
            gaps: Vec::new(),
            is_closed: true,
        };
        let told = text(&Verification { proofs: vec![proof.clone()], ..Verification::default() }, false);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines[1],
            "db-1: 2 files with 30 records of 2025-01-01T00:00:00.000000Z to 2025-01-02T00:00:00.000000Z were deleted \
             on purpose: older than 400 days"
        );
        assert_eq!(lines[2], "db-1: 6 files were compacted: larger ones hold their records");
        let nothing = text(
            &Verification {
                proofs: vec![Proof { deleted: Deleted::default(), replaced: 0, ..proof }],
                ..Verification::default()
            },
            false,
        );
        assert_eq!(nothing.lines().count(), 2, "{nothing}");
    }
}
