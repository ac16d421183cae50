//! What is asked of the file system, where the log is changed: the one way to it, so that a test can have any of it refused.
//!
//! In: a change to a file or folder. Out: the system's answer. In a test, the answer of its `faults::Scene` first: it refuses the n-th
//! change, once or from there on (a process killed there), a write after half of its bytes, and knows what would not outlive a
//! loss of power. In a build that is no test, nothing is in between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

#[cfg(test)]
pub mod faults;

#[cfg(not(test))]
mod faults {
    use std::convert::Infallible;
    use std::io;
    use std::path::Path;

    /// There is none.
    pub enum Refused {
        Never(Infallible),
    }

    impl Refused {
        pub fn writes_half(&self) -> bool {
            match self {
                Refused::Never(never) => match *never {},
            }
        }
    }

    impl From<Refused> for io::Error {
        fn from(refused: Refused) -> io::Error {
            match refused {
                Refused::Never(never) => match never {},
            }
        }
    }

    #[inline(always)]
    pub fn ask(_what: &str, _path: &Path) -> Result<(), Refused> {
        Ok(())
    }
    #[inline(always)]
    pub fn writes(_path: &Path) {}
    #[inline(always)]
    pub fn synced(_path: &Path) {}
    #[inline(always)]
    pub fn renamed(_from: &Path, _to: &Path) {}
}

/// Makes a folder and those above it.
pub fn create_folders(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        faults::ask("create folder", path)?;
    }
    fs::create_dir_all(path)
}

/// Opens a file to change it.
pub fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    faults::ask("open", path)?;
    options.open(path)
}

/// Makes a file without a name, to write and read: it goes when it is closed, however the process ends.
pub fn unnamed(folder: &Path) -> io::Result<File> {
    faults::ask("create a file without a name in", folder)?;
    tempfile::tempfile_in(folder)
}

/// Gives a file another name.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    faults::ask("rename", from)?;
    fs::rename(from, to)?;
    faults::renamed(from, to);
    Ok(())
}

/// Removes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    faults::ask("remove", path)?;
    fs::remove_file(path)
}

/// Writes all bytes at the end of a file that is appended to, or where it stands.
pub fn write(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    faults::writes(path);
    if let Err(refused) = faults::ask("write", path) {
        if refused.writes_half() {
            file.write_all(&bytes[..bytes.len() / 2])?;
        }
        return Err(refused.into());
    }
    file.write_all(bytes)
}

/// Writes all bytes at a place of a file.
pub fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
    faults::writes(path);
    if let Err(refused) = faults::ask("write", path) {
        if refused.writes_half() {
            file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
        }
        return Err(refused.into());
    }
    file.write_all_at(bytes, offset)
}

/// Cuts a file off.
pub fn cut(file: &File, path: &Path, bytes: u64) -> io::Result<()> {
    faults::ask("cut", path)?;
    file.set_len(bytes)
}

/// Has the disk take a file's bytes.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    faults::ask("sync", path)?;
    file.sync_data()?;
    faults::synced(path);
    Ok(())
}

/// Has the disk take the names in a folder.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    faults::ask("sync folder", path)?;
    File::open(path)?.sync_all()
}

/// Reserves a file's blocks.
pub fn reserve(file: &File, path: &Path, bytes: u64) -> io::Result<()> {
    faults::ask("reserve", path)?;
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

/// Puts a small file in the place of another one, as a whole, on the disk.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    faults::ask("create", path)?;
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    faults::ask("write", path)?;
    made.write_all(bytes)?;
    faults::ask("sync", path)?;
    made.as_file().sync_data()?;
    faults::ask("rename", path)?;
    made.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Puts a file where none is, with its mode, as a whole, on the disk. One that is there, or was put there first by somebody else, stays.
pub fn put_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    faults::ask("create", path)?;
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    faults::ask("write", path)?;
    made.write_all(bytes)?;
    made.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    faults::ask("sync", path)?;
    made.as_file().sync_all()?;
    faults::ask("link", path)?;
    match made.persist_noclobber(path) {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
        Ok(_) => sync_folder(folder),
    }
}

/// A file that is written by somebody else's code.
#[derive(Debug)]
pub struct Written {
    file: File,
    path: PathBuf,
}

impl Written {
    /// A file that is made, or made empty.
    pub fn create(path: &Path) -> io::Result<Written> {
        let file = open(OpenOptions::new().create(true).truncate(true).write(true), path)?;
        Ok(Written { file, path: path.to_path_buf() })
    }

    /// Has the disk take it.
    pub fn sync(&self) -> io::Result<()> {
        sync(&self.file, &self.path)
    }
}

impl Write for &Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&self.file, &self.path, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
