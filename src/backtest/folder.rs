//! The output folder: it has its name only when it is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What says that a folder holds a backtest.
const MARK: &str = "summary.json";
/// Who fills a folder holds this file in it locked, so that one whose process was killed is told from one at work.
const LOCK: &str = "lock";

/// A folder being filled beside its place. Dropped before [`finish`](Self::finish), nothing is left.
pub(super) struct Folder {
    part: PathBuf,
    place: PathBuf,
    lock: File,
    finished: bool,
}

impl Folder {
    /// Begins a folder that will be at `place`. A backtest that is there will be replaced, and what a killed one left
    /// beside it is cleared away; anything else is refused, and so is a folder that another process fills.
    pub(super) fn create(place: &Path) -> io::Result<Self> {
        let name = place.file_name().ok_or_else(|| io::Error::other("names no folder"))?.to_string_lossy();
        let in_use = |what: &str| io::Error::new(io::ErrorKind::AlreadyExists, what.to_owned());
        if place.exists() && !place.is_dir() {
            return Err(in_use("is a file; name a folder"));
        }
        if !is_ours(place, MARK)? {
            return Err(in_use("is not empty and holds no backtest; name another folder"));
        }
        let above = place.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(above) = above {
            fs::create_dir_all(above)?;
        }
        let part = place.with_file_name(format!(".{name}.part"));
        let old = part.with_extension("old");
        for (beside, mark) in [(&part, LOCK), (&old, MARK)] {
            if !is_ours(beside, mark)? {
                let what =
                    format!("cannot be filled: {} is in the way and is no backtest's", beside.display());
                return Err(in_use(&what));
            }
        }
        fs::create_dir_all(&part)?;
        let lock = File::create(part.join(LOCK))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(in_use("is being written by another backtest; name another folder"));
        }
        // Killed between two renames, it left the one before under another name.
        match (old.exists(), place.exists()) {
            (true, true) => fs::remove_dir_all(&old)?,
            (true, false) => fs::rename(&old, place)?,
            (false, _) => {}
        }
        for entry in fs::read_dir(&part)? {
            let entry = entry?;
            if entry.file_name() != LOCK {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { part, place: place.to_owned(), lock, finished: false })
    }

    /// Where a file is written.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.part.join(name)
    }

    /// Gives the folder its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let old = self.part.with_extension("old");
        let had_one = self.place.exists();
        if had_one {
            fs::rename(&self.place, &old)?;
        }
        if let Err(error) = fs::rename(&self.part, &self.place) {
            if had_one {
                // Best effort: the error that led here is the one to tell.
                let _ = fs::rename(&old, &self.place);
            }
            return Err(error);
        }
        self.finished = true;
        self.lock.unlock()?;
        fs::remove_file(self.place.join(LOCK))?;
        if had_one { fs::remove_dir_all(&old) } else { Ok(()) }
    }
}

/// Whether nothing of anybody else is lost where a folder goes: there is none, it is empty, or it holds `mark`.
fn is_ours(folder: &Path, mark: &str) -> io::Result<bool> {
    if !folder.try_exists()? {
        return Ok(true);
    }
    Ok(folder.is_dir() && (folder.join(mark).is_file() || fs::read_dir(folder)?.next().is_none()))
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: there is nobody left to tell.
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("a/run");
        let folder = Folder::create(&place).unwrap();
        fs::write(folder.file(MARK), "half").unwrap();
        assert!(!place.exists());
        drop(folder);
        assert!(names(&home.path().join("a")).is_empty());
        for text in ["one", "two"] {
            let folder = Folder::create(&place).unwrap();
            fs::write(folder.file(MARK), text).unwrap();
            folder.finish().unwrap();
            assert_eq!(fs::read_to_string(place.join(MARK)).unwrap(), text);
            assert_eq!(names(&home.path().join("a")), ["run"]);
        }
        // Dropped, the one before stays.
        drop(Folder::create(&place).unwrap());
        assert_eq!(fs::read_to_string(place.join(MARK)).unwrap(), "two");
    }

    #[test]
    fn what_a_killed_one_left_is_cleared_and_one_at_work_is_not() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("run");
        let folder = Folder::create(&place).unwrap();
        fs::write(folder.file("ledger.csv"), "half").unwrap();
        let error = Folder::create(&place).err().unwrap();
        assert_eq!(error.to_string(), "is being written by another backtest; name another folder");
        assert_eq!(fs::read_to_string(folder.file("ledger.csv")).unwrap(), "half");
        // A process that is killed drops nothing; the system lets go of its locks.
        folder.lock.unlock().unwrap();
        std::mem::forget(folder);
        let folder = Folder::create(&place).unwrap();
        fs::write(folder.file(MARK), "whole").unwrap();
        folder.finish().unwrap();
        assert_eq!((names(home.path()), names(&place)), (vec!["run".into()], vec![MARK.into()]));
        // Killed while the old one was out of the way.
        fs::rename(&place, home.path().join(".run.old")).unwrap();
        drop(Folder::create(&place).unwrap());
        assert_eq!((names(home.path()), names(&place)), (vec!["run".into()], vec![MARK.into()]));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("thesis.txt"), "mine").unwrap();
        assert!(Folder::create(home.path()).is_err());
        assert!(Folder::create(&home.path().join("thesis.txt")).is_err());
        assert_eq!(names(home.path()), ["thesis.txt"]);
    }

    #[test]
    fn what_is_not_ours_beside_it_is_left_alone() {
        for beside in [".run.part", ".run.old"] {
            let home = tempfile::tempdir().unwrap();
            let mine = home.path().join(beside);
            fs::create_dir(&mine).unwrap();
            fs::write(mine.join("thesis.txt"), "mine").unwrap();
            let error = Folder::create(&home.path().join("run")).err().unwrap();
            let what = format!("cannot be filled: {} is in the way and is no backtest's", mine.display());
            assert_eq!(error.to_string(), what);
            assert_eq!((names(home.path()), names(&mine)), (vec![beside.into()], vec!["thesis.txt".into()]));
        }
    }
}
