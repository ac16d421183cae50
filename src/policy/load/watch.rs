//! Whether the folder of the policies has changed, told by looking at it every few seconds.
//!
//! In: the folder's path, and looks. Out: whether it is another than the one that was last taken, and stands still. By polling, and not by
//! the system's notices: those do not come from network file systems, follow no links, and Kubernetes changes a mounted ConfigMap by
//! turning one link; a few hundred files are looked at in a millisecond. Only names, sizes, times and file numbers are looked at, of the
//! files that [`super::load`] would read, the classification among them. What cannot be looked at counts as not there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::{DEPTH_MAX, FILES_MAX};

/// How often to look. Two looks have to agree: what is saved file by file is taken as a whole.
pub const EVERY: Duration = Duration::from_secs(2);

/// What is seen of one file: its path, device and number, size, and when it was changed.
type Seen = (PathBuf, (u64, u64), u64, (i64, i64));

/// See the module.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    taken: Vec<Seen>,
    last: Vec<Seen>,
}

impl Watch {
    /// What is there now is taken.
    pub fn new(path: &Path) -> Watch {
        let now = look(path);
        Watch { path: path.to_path_buf(), taken: now.clone(), last: now }
    }

    /// Looks. Whether the folder has changed since it was last taken, and not since the last look; it is then taken.
    pub fn has_changed(&mut self) -> bool {
        let now = look(&self.path);
        let stands = now == self.last;
        self.last = now;
        if !stands || self.last == self.taken {
            return false;
        }
        self.taken.clone_from(&self.last);
        true
    }
}

fn look(path: &Path) -> Vec<Seen> {
    let mut seen = Vec::new();
    match path.is_dir() {
        true => folder(path, 0, &mut seen),
        false => seen.extend(file(path)),
    }
    seen.sort_unstable();
    seen
}

fn folder(path: &Path, depth: usize, seen: &mut Vec<Seen>) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || seen.len() > FILES_MAX {
            continue;
        }
        if path.is_dir() {
            if depth < DEPTH_MAX {
                folder(&path, depth.saturating_add(1), seen);
            }
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            seen.extend(file(&path));
        }
    }
}

/// Through links: a link that is turned shows another file.
fn file(path: &Path) -> Option<Seen> {
    let metadata = std::fs::metadata(path).ok()?;
    let identity = (metadata.dev(), metadata.ino());
    Some((path.to_path_buf(), identity, metadata.len(), (metadata.ctime(), metadata.ctime_nsec())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::create_dir(file("theme")).unwrap();
        fs::write(file("theme/a.yaml"), "one").unwrap();
        let mut watch = Watch::new(folder.path());
        assert!(!watch.has_changed() && !watch.has_changed());
        fs::write(file("theme/a.yaml"), "another").unwrap();
        assert!(!watch.has_changed(), "somebody may be writing on");
        fs::write(file("theme/b.yaml"), "more").unwrap();
        assert!(!watch.has_changed(), "and was");
        assert!(watch.has_changed());
        assert!(!watch.has_changed() && !watch.has_changed());
        fs::remove_file(file("theme/b.yaml")).unwrap();
        assert!(!watch.has_changed() && watch.has_changed());
        fs::write(file("theme/.a.yaml.swp"), "an editor's").unwrap();
        fs::write(file("notes.txt"), "nobody's").unwrap();
        assert!(!watch.has_changed() && !watch.has_changed());
    }

    /// As the kubelet does it: `..data` is renamed over, the names that lead through it stay as they are.
    #[test]
    fn a_mounted_folder_s_turned_link_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["..one", "..two"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("permits.yaml"), "same").unwrap();
        }
        symlink("..one", folder.path().join("..data")).unwrap();
        symlink("..data/permits.yaml", folder.path().join("permits.yaml")).unwrap();
        let mut watch = Watch::new(folder.path());
        symlink("..two", folder.path().join("..data_tmp")).unwrap();
        fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
        assert!(!watch.has_changed() && watch.has_changed());
    }

    #[test]
    fn a_folder_that_goes_away_is_a_change_and_no_fault_of_the_watch() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "one").unwrap();
        let mut watch = Watch::new(folder.path());
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        fs::remove_dir(folder.path()).unwrap();
        assert!(!watch.has_changed() && watch.has_changed());
        assert!(!watch.has_changed());
    }
}
