//! A folder, or what is built in → a [`PolicySet`], as one checked whole or not at all.
//!
//! In: `<theme>/<id>.yaml`, `<theme>/<id>.cases.yaml`, `lists.yaml`, `permits.yaml`; `classification.yaml` is the
//! catalog's and passed over. Out: the set, or every fault of every file. The only part of this room that reads files.

mod folder;
pub mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use self::folder::Files;
use super::cases::{self, CaseFile};
use super::definition::{self, On, Policy};
use super::list::Lists;
use super::set::PolicySet;
use super::{Config, built_in, permit};
use crate::error::{Fault, Faults};
use crate::yaml::Source;

/// Loads what `config` says.
///
/// # Errors
/// Every fault found: unreadable files, YAML, unknown keys, conditions, an unknown time zone.
pub fn load(config: &Config) -> Result<PolicySet, Faults> {
    let mut faults = Vec::new();
    let timezone = match &config.timezone {
        None => TimeZone::system(),
        Some(name) => TimeZone::get(name).unwrap_or_else(|_| {
            let what = format!("[policies].timezone: there is no time zone `{name}`");
            faults.push(Fault::of_file(Path::new("mitsuke.toml"), what, "write an IANA name such as Asia/Tokyo"));
            TimeZone::UTC
        }),
    };
    let files = match &config.path {
        None => built_in(),
        Some(path) => folder::read(path, &mut faults),
    };
    let mut set = assemble(&files, &mut faults);
    set.timezone = timezone;
    set.mode = config.mode;
    match faults.is_empty() {
        true => Ok(set),
        false => {
            // Who mends the rest is told of these too.
            faults.append(&mut set.without_cases);
            faults.sort();
            faults.dedup();
            Err(Faults(faults))
        }
    }
}

/// Loads the policies of a folder, or one policy's file, in UTC: what `mitsuke policy test --path` does.
///
/// # Errors
/// As [`load`].
pub fn load_folder(path: &Path) -> Result<PolicySet, Faults> {
    load(&Config { path: Some(path.to_path_buf()), timezone: Some("UTC".to_owned()), ..Config::default() })
}

fn built_in() -> Files {
    let mut files = Files::default();
    for (path, text) in built_in::FILES {
        files.add(PathBuf::from(path), (*text).to_owned());
    }
    files
}

/// Files' names and texts → a set; what is wrong is added to `faults`.
fn assemble(files: &Files, faults: &mut Vec<Fault>) -> PolicySet {
    let mut set = PolicySet::empty();
    let mut lists = Lists::default();
    if let Some((path, text)) = &files.lists {
        let mut source = Source::new(path, text);
        lists = Lists::read(&mut source);
        faults.append(&mut source.faults);
    }
    if let Some((path, text)) = &files.permits {
        let mut source = Source::new(path, text);
        set.permits = permit::read(&mut source);
        faults.append(&mut source.faults);
    }
    let files = &files.policies;
    let mut homes: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in files.iter().filter(|(path, _)| !Policy::is_cases(path)) {
        let mut source = Source::new(path, text);
        let (on, policy) = definition::read(&mut source, &lists);
        faults.append(&mut source.faults);
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(other) = homes.get(&id) {
            let what = format!("the policy `{id}` is there twice, also in {}", other.display());
            faults.push(Fault::of_file(path, what, "rename or remove one"));
        }
        homes.entry(id.clone()).or_insert_with(|| path.clone());
        add_cases(&mut set, &id, on, path, files, faults);
        set.policies.extend(policy.map(Arc::new));
    }
    for path in files.keys().filter(|path| Policy::is_cases(path)) {
        // `x.cases.yaml` without `.yaml`, then with `.cases` replaced.
        let owner = path.with_extension("").with_extension("yaml");
        if !files.contains_key(&owner) {
            let what = format!("cases of a policy that is not there: {}", owner.display());
            faults.push(Fault::of_file(path, what, "rename or remove them"));
        }
    }
    set.policies.sort_by(|a, b| a.id.cmp(&b.id));
    set
}

fn add_cases(
    set: &mut PolicySet,
    id: &str,
    on: Option<On>,
    path: &Path,
    files: &BTreeMap<PathBuf, String>,
    faults: &mut Vec<Fault>,
) {
    let beside = path.with_extension("cases.yaml");
    let Some(text) = files.get(&beside) else {
        let what = format!("the policy `{id}` has no cases");
        let mend = format!("write {}: what must match and what must not", beside.display());
        set.without_cases.push(Fault::of_file(path, what, mend));
        return;
    };
    // Of a policy that does not say what it is `on`, nothing is known to hold its cases against.
    let Some(on) = on else { return };
    let mut source = Source::new(&beside, text);
    let cases = cases::read(&mut source, on);
    faults.append(&mut source.faults);
    set.cases.push(CaseFile { policy: id.into(), file: beside, cases });
}

#[cfg(test)]
mod tests;
