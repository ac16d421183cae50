//! A folder, or what is built in → a [`PolicySet`], as one checked whole or not at all.
//!
//! In: `<theme>/<id>.yaml`, `<theme>/<id>.cases.yaml`, `lists.yaml`, `permits.yaml`; `classification.yaml` is the
//! catalog's and passed over. Out: the set, or every fault of every file. The only part of this room that reads files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::cases::{self, CaseFile};
use super::definition::{self, Policy};
use super::list::Lists;
use super::set::PolicySet;
use super::{Config, built_in, permit};
use crate::error::{Fault, Faults};
use crate::yaml::Source;

/// The longest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// The most files that are read.
const FILES_MAX: usize = 10_000;
/// How deep folders are followed.
const DEPTH_MAX: usize = 8;

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
        None => built_in::FILES.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect(),
        Some(path) => read_folder(path, &mut faults),
    };
    let mut set = assemble(&files, &mut faults);
    set.timezone = timezone;
    set.mode = config.mode;
    match faults.is_empty() {
        true => Ok(set),
        false => {
            faults.sort();
            faults.dedup();
            Err(Faults(faults))
        }
    }
}

/// Loads the policies of a folder, in UTC: what `mitsuke policy test PATH` does.
///
/// # Errors
/// As [`load`].
pub fn load_folder(path: &Path) -> Result<PolicySet, Faults> {
    load(&Config { path: Some(path.to_path_buf()), timezone: Some("UTC".to_owned()), ..Config::default() })
}

/// Files' names and texts → a set; what is wrong is added to `faults`.
fn assemble(files: &BTreeMap<PathBuf, String>, faults: &mut Vec<Fault>) -> PolicySet {
    let mut set = PolicySet::empty();
    let named = |name: &str| files.iter().find(|(path, _)| path.file_name().is_some_and(|file| file == name));
    let mut lists = Lists::default();
    if let Some((path, text)) = named("lists.yaml") {
        let mut source = Source::new(path, text);
        lists = Lists::read(&mut source);
        faults.append(&mut source.faults);
    }
    if let Some((path, text)) = named("permits.yaml") {
        let mut source = Source::new(path, text);
        set.permits = permit::read(&mut source);
        faults.append(&mut source.faults);
    }
    let mut homes: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, text) in files.iter().filter(|(path, _)| is_policy(path)) {
        let mut source = Source::new(path, text);
        let policy = definition::read(&mut source, &lists);
        faults.append(&mut source.faults);
        let Some(policy) = policy else { continue };
        if let Some(other) = homes.insert(policy.id.to_string(), path.clone()) {
            let what = format!("the policy `{}` is there twice, also in {}", policy.id, other.display());
            faults.push(Fault::of_file(path, what, "rename or remove one"));
            continue;
        }
        add_cases(&mut set, &policy, path, files, faults);
        set.policies.push(Arc::new(policy));
    }
    for path in files.keys().filter(|path| Policy::is_cases(path)) {
        let owner = path.with_file_name(case_stem(path) + ".yaml");
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
    policy: &Policy,
    path: &Path,
    files: &BTreeMap<PathBuf, String>,
    faults: &mut Vec<Fault>,
) {
    let beside = path.with_file_name(format!("{}.cases.yaml", policy.id));
    let Some(text) = files.get(&beside) else {
        let what = format!("the policy `{}` has no cases", policy.id);
        let mend = format!("write {}: what must match and what must not", beside.display());
        set.without_cases.push(Fault::of_file(path, what, mend));
        return;
    };
    let mut source = Source::new(&beside, text);
    let cases = cases::read(&mut source, policy);
    faults.append(&mut source.faults);
    set.cases.push(CaseFile { policy: policy.id.clone(), file: beside, cases });
}

fn is_policy(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".yaml")
        && !Policy::is_cases(path)
        && !matches!(name, "lists.yaml" | "permits.yaml" | "classification.yaml")
}

fn case_stem(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_suffix(".cases.yaml").unwrap_or(name).to_owned()
}

/// Every YAML file below `folder`; a single file stands for itself, with its cases, and the lists of the folder above.
fn read_folder(folder: &Path, faults: &mut Vec<Fault>) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    if folder.is_file() {
        let cases = folder.with_file_name(case_stem(&folder.with_extension("cases.yaml")) + ".cases.yaml");
        let lists = folder.parent().and_then(Path::parent).map(|above| above.join("lists.yaml"));
        for path in [Some(folder.to_path_buf()), Some(cases), lists].into_iter().flatten().filter(|path| path.is_file())
        {
            read_file(path, &mut files, faults);
        }
        return files;
    }
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                faults.push(Fault::of_file(&folder, format!("cannot be read: {error}"), "name a folder of policies"));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                faults.push(Fault::of_file(&path, "policies end in .yaml, not .yml", "rename it"));
            } else if path.extension().is_some_and(|extension| extension == "yaml") && files.len() < FILES_MAX {
                read_file(path, &mut files, faults);
            }
        }
    }
    files
}

fn read_file(path: PathBuf, files: &mut BTreeMap<PathBuf, String>, faults: &mut Vec<Fault>) {
    let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if size > FILE_BYTES_MAX {
        let what = format!("the file has {size} bytes, more than {FILE_BYTES_MAX}");
        return faults.push(Fault::of_file(&path, what, "split it"));
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => drop(files.insert(path, text)),
        Err(error) => faults.push(Fault::of_file(&path, format!("cannot be read: {error}"), "")),
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
