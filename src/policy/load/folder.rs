//! A folder, or one policy's file → names and texts.
//!
//! In: a path. Out: [`Files`], and a fault for everything that cannot be read or would silently be passed over: a file
//! that ends in `.yml`, lists below the top, more files or deeper folders than are followed. What begins with a dot is
//! nobody's policy: editors keep their copies there, and Kubernetes the files that a mounted folder's names point to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::Fault;
use crate::policy::definition::Policy;

/// The longest file that is read, bytes.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// The most files that are read.
pub const FILES_MAX: usize = 10_000;
/// How deep folders are followed.
pub const DEPTH_MAX: usize = 8;

/// Files that stand beside the themes' folders, once.
const AT_THE_TOP: [&str; 3] = ["lists.yaml", "permits.yaml", "classification.yaml"];

/// What a set is made of.
#[derive(Debug, Default)]
pub struct Files {
    /// `lists.yaml`.
    pub lists: Option<(PathBuf, String)>,
    /// `permits.yaml`.
    pub permits: Option<(PathBuf, String)>,
    /// Policies and their cases.
    pub policies: BTreeMap<PathBuf, String>,
}

impl Files {
    /// Sorts a file in by its name.
    pub fn add(&mut self, path: PathBuf, text: String) {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("lists.yaml") => self.lists = Some((path, text)),
            Some("permits.yaml") => self.permits = Some((path, text)),
            Some("classification.yaml") => {}
            _ => drop(self.policies.insert(path, text)),
        }
    }
}

/// Every YAML file below a folder. A single file stands for itself, with its cases, and the lists beside or above it.
pub fn read(path: &Path, faults: &mut Vec<Fault>) -> Files {
    let mut reader = Reader { files: Files::default(), number: 0, faults };
    match path.is_file() {
        true => reader.alone(path),
        false => reader.folder(path, 0),
    }
    reader.files
}

struct Reader<'f> {
    files: Files,
    number: usize,
    faults: &'f mut Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, path: &Path, what: impl Into<String>, mend: &str) {
        self.faults.push(Fault::of_file(path, what, mend));
    }

    fn alone(&mut self, path: &Path) {
        if !is_yaml(path) || Policy::is_cases(path) {
            return self.fault(path, "is not a policy", "name a folder, or a policy's file: ID.yaml");
        }
        let lists = path.ancestors().skip(1).take(2).map(|folder| folder.join("lists.yaml"));
        let cases = path.with_extension("cases.yaml");
        let files: Vec<PathBuf> = lists.filter(|file| file.is_file()).take(1).collect();
        let cases = Some(cases).filter(|file| file.is_file());
        for file in [path.to_path_buf()].into_iter().chain(cases).chain(files) {
            self.file(file);
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > DEPTH_MAX {
            let what = format!("lies deeper than {DEPTH_MAX} folders, and is not read");
            return self.fault(folder, what, "move its policies up");
        }
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) => return self.fault(folder, format!("cannot be read: {error}"), "name a folder of policies"),
        };
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                self.folder(&path, depth + 1);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                self.fault(&path, "policies end in .yaml, not .yml", "rename it");
            } else if depth > 0 && AT_THE_TOP.contains(&name.as_str()) {
                self.fault(&path, "would be passed over here", "move it to the top, beside the themes' folders");
            } else if is_yaml(&path) {
                self.file(path);
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        self.number += 1;
        if self.number > FILES_MAX {
            if self.number == FILES_MAX + 1 {
                self.fault(&path, format!("is file number {}, and is not read", self.number), "have fewer policies");
            }
            return;
        }
        match read_text(&path) {
            Ok(text) if text.len() as u64 > FILE_BYTES_MAX => {
                self.fault(&path, format!("has more than {FILE_BYTES_MAX} bytes"), "split it");
            }
            Ok(text) => self.files.add(path, text),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.fault(&path, "is not UTF-8", "save it as UTF-8");
            }
            Err(error) => self.fault(&path, format!("cannot be read: {error}"), "make it a file that we may read"),
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

/// At most one byte more than is allowed. A pipe is not opened: it would wait for a writer.
fn read_text(path: &Path) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn told(path: &Path) -> (Vec<PathBuf>, Vec<String>) {
        let mut faults = Vec::new();
        let files = read(path, &mut faults);
        (files.policies.into_keys().collect(), faults.iter().map(ToString::to_string).collect())
    }

    /// Kubernetes mounts a ConfigMap as links into a folder whose name begins with dots.
    #[test]
    fn a_mounted_folder_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let of_today = folder.path().join("..2026_06_01");
        fs::create_dir(&of_today).unwrap();
        for name in ["a.yaml", "lists.yaml"] {
            fs::write(of_today.join(name), "x").unwrap();
            symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
        }
        symlink("..2026_06_01", folder.path().join("..data")).unwrap();
        fs::write(folder.path().join(".#a.yaml"), "an editor's").unwrap();
        assert_eq!(told(folder.path()), (vec![folder.path().join("a.yaml")], Vec::new()));
    }

    #[test]
    fn a_folder_inside_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "x").unwrap();
        symlink(".", folder.path().join("again")).unwrap();
        let (policies, faults) = told(folder.path());
        assert_eq!(policies.len(), DEPTH_MAX + 1);
        assert!(faults.len() == 1 && faults[0].contains("lies deeper than 8 folders, and is not read"), "{faults:?}");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("latin1.yaml"), b"title: caf\xe9\n").unwrap();
        fs::write(path("large.yaml"), vec![b' '; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]).unwrap();
        symlink("nowhere", path("dangling.yaml")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe.yaml")).status().unwrap().success());
        let (policies, faults) = told(folder.path());
        assert_eq!(policies, Vec::<PathBuf>::new());
        let all = faults.join("\n");
        for part in [
            "latin1.yaml: is not UTF-8; save it as UTF-8",
            "large.yaml: has more than 4194304 bytes; split it",
            "dangling.yaml: cannot be read: No such file",
            "pipe.yaml: cannot be read: it is not a plain file",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        let (_, faults) = told(&path("nowhere"));
        assert!(faults[0].contains("No such file") && faults[0].ends_with("name a folder of policies"), "{faults:?}");
    }

    #[test]
    fn too_many_files_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let mut faults = Vec::new();
        let mut reader = Reader { files: Files::default(), number: FILES_MAX - 1, faults: &mut faults };
        reader.folder(folder.path(), 0);
        assert_eq!(reader.files.policies.len(), 1);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].to_string().contains("b.yaml: is file number 10001, and is not read"));
    }
}
