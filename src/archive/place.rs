//! How a result comes to its place in one step: it is made in a directory beside it
//! ([`Workplace`]) and renamed at the end.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::strangers::{self, Directory};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::lock::LockedLayout;
use crate::layout::sync::sync_path;
use crate::layout::workplace::{OLD, Workplace};
use crate::trouble::Taken;
use crate::unfinished;

/// What the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Directory,
    File,
}

/// Where a result goes.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    pub(super) force: bool,
}

impl Destination {
    /// The directory it is in.
    pub(super) fn parent(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Whether the result may go there; `true` when it replaces something.
    ///
    /// # Errors
    /// [`Error::Output`] when something is there that must stay.
    pub(super) fn check(&self) -> Result<bool, Error> {
        let path = &self.path;
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A name such as `..` has no place of its own.
                return match path.file_name() {
                    Some(_) => Ok(false),
                    None => Err(self.refuse("cannot be a new place", None)),
                };
            }
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        if !self.force {
            return Err(self.refuse("exists already", Some(Taken::Replaceable)));
        }
        match self.form {
            Form::File if found.is_file() => Ok(true),
            Form::File => Err(self.refuse("exists and is not a regular file", None)),
            // What is replaced is removed, so it must be what the user thinks of.
            Form::Directory if found.is_dir() => match strangers::look(path)? {
                Directory::Layout => Ok(true),
                Directory::Other => {
                    Err(self.refuse("exists and is not an OCI layout", Some(Taken::NotALayout)))
                }
                Directory::Shared(strangers) => {
                    let problem =
                        format!("holds other files than those of an OCI layout: {strangers}");
                    Err(self.refuse(problem, Some(Taken::Shared)))
                }
            },
            Form::Directory => Err(self.refuse("exists and is not a directory", None)),
        }
    }

    /// Moves `made` there, a synced file or directory of the same file system. `work` gets what was
    /// there before.
    ///
    /// Nothing is ever replaced without `force`. With it a file is replaced in one step, and so is a
    /// directory where the file system can exchange two; elsewhere there is a moment without any, and
    /// the old one comes back when the new one cannot take its place.
    pub(super) fn take(&self, made: &Path, work: &Workplace) -> Result<(), Error> {
        let replaces = self.check()?;
        let path = &self.path;
        let moved = if !replaces {
            unfinished::commit(|| rename_new(made, path))
        } else if self.form == Form::File {
            unfinished::commit(|| fs::rename(made, path))
        } else {
            // A run that works in the old one shall come to its end first.
            let _lock =
                Layout::open(path).ok().map(|old| LockedLayout::new(old, &|| false)).transpose()?;
            unfinished::commit(|| exchange(made, path, &work.join(OLD)))
        };
        match moved {
            Ok(()) => sync_path(self.parent()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(self.refuse("exists already: another process made it meanwhile", None))
            }
            Err(error) => Err(Error::io("create", path)(error)),
        }
    }

    fn refuse(&self, problem: impl Into<String>, taken: Option<Taken>) -> Error {
        Error::Output { path: self.path.clone(), problem: problem.into(), taken }
    }
}

/// A rename that replaces nothing.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems cannot; a moment between looking and renaming is left there.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::statat(CWD, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(from, to),
            }
        }
        result => result.map_err(Into::into),
    }
}

/// Puts `made` in the place of `path`, and what was there in its place or at `aside`.
fn exchange(made: &Path, path: &Path, aside: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, made, CWD, path, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => move_aside(made, path, aside),
        result => result.map_err(Into::into),
    }
}

/// The same in two steps.
fn move_aside(made: &Path, path: &Path, aside: &Path) -> std::io::Result<()> {
    fs::rename(path, aside)?;
    fs::rename(made, path).inspect_err(|_| {
        let _ = fs::rename(aside, path);
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::layout::commit::{PREFIX, SUFFIX};

    fn place(path: PathBuf, form: Form, force: bool) -> Destination {
        Destination { path, form, force }
    }

    fn layout(path: &Path, content: &str) {
        fs::create_dir_all(path).expect("temporary");
        fs::write(path.join("oci-layout"), content).expect("temporary");
    }

    #[test]
    fn nothing_is_replaced_without_force_and_only_layouts_with_it() {
        let temp = TempDir::new().expect("temporary");
        let path = temp.path().join("x");
        for (force, form, make, allowed) in [
            (false, Form::Directory, "nothing", true),
            (true, Form::File, "nothing", true),
            (false, Form::Directory, "layout", false),
            (false, Form::Directory, "empty", false),
            (false, Form::File, "file", false),
            (true, Form::Directory, "layout", true),
            (true, Form::Directory, "empty", true),
            (true, Form::Directory, "home", false),
            (true, Form::Directory, "file", false),
            (true, Form::Directory, "link", false),
            (true, Form::File, "file", true),
            (true, Form::File, "layout", false),
            (true, Form::File, "link", false),
        ] {
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(&path);
            match make {
                "layout" => layout(&path, "old"),
                "empty" => fs::create_dir(&path).expect("temporary"),
                "home" => {
                    fs::create_dir(&path).expect("temporary");
                    fs::write(path.join("precious"), "x").expect("temporary");
                }
                "file" => fs::write(&path, "x").expect("temporary"),
                "link" => std::os::unix::fs::symlink("/", &path).expect("temporary"),
                _ => {}
            }
            let found = place(path.clone(), form, force).check();
            assert_eq!(found.is_ok(), allowed, "{force} {form:?} {make}: {found:?}");
        }
        assert!(place("..".into(), Form::Directory, true).check().is_err());
    }

    #[test]
    fn both_ways_of_exchanging() {
        let temp = TempDir::new().expect("temporary");
        let work = Workplace::new(temp.path()).expect("writable");
        let read = |path: &Path| fs::read_to_string(path.join("oci-layout")).expect("there");
        let (old, new) = (temp.path().join("x"), work.join("layout"));
        layout(&old, "old");
        layout(&new, "new");
        place(old.clone(), Form::Directory, true).take(&new, &work).expect("replaced");
        assert_eq!((read(&old), read(&new)), ("new".into(), "old".into()));
        layout(&new, "newest");
        move_aside(&new, &old, &work.join(OLD)).expect("replaced");
        assert_eq!((read(&old), read(&work.join(OLD))), ("newest".into(), "new".into()));
        // What cannot take the place gives it back.
        move_aside(&new, &old, &work.join("other")).expect_err("it is gone");
        assert_eq!(read(&old), "newest");
        let other = temp.path().join("y");
        layout(&new, "newer");
        place(other.clone(), Form::Directory, false).take(&new, &work).expect("new");
        assert_eq!(read(&other), "newer");
        assert!(rename_new(&old, &other).is_err());
        drop(work);
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 2);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_a_running_one_needs_is_not() {
        let temp = TempDir::new().expect("temporary");
        let dead = temp.path().join(format!("{PREFIX}dead{SUFFIX}"));
        layout(&dead.join("layout"), "x");
        let precious = temp.path().join(format!("{PREFIX}precious{SUFFIX}"));
        layout(&precious.join(OLD), "x");
        fs::write(temp.path().join("other.tmp"), "x").expect("temporary");
        let running = Workplace::new(temp.path()).expect("writable");
        assert!(!dead.exists());
        let second = Workplace::new(temp.path()).expect("writable");
        assert!(running.join("").exists() && second.join("").exists());
        drop((running, second));
        assert!(precious.exists());
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 2);
    }
}
