//! `soci-layout ls`.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;

use soci_layout::files::{EntryKind, ImageFiles, LookupError, NodeId, Root};

use super::super::args::LsArgs;
use super::super::show::escape;
use super::super::show::listing::{self, Form, Item};
use super::super::signals;
use super::files;
use super::{Exit, Printer};

/// Bytes of text that are collected before they are written.
const PIECE: usize = 64 << 10;

/// Runs the command.
pub(crate) fn run(args: &LsArgs, printer: Printer) -> Result<Exit, Exit> {
    let (image, talk) = files::open(&args.layout, &args.image, printer)?;
    let whole = image.read_layers().count();
    let bare = image.read_layers().filter(|l| l.ztoc.is_none() && l.ztoc_problem.is_none()).count();
    if bare > 0 && !args.image.verbose {
        talk.note(&format!(
            "{bare} of {whole} layers without zTOC were read whole (-v names them)"
        ));
    }
    let root = image.root().map_err(|error| talk.failed(&error))?;
    let form = Form { long: args.long, details: args.image.verbose };
    let text = String::with_capacity(PIECE);
    let mut lister = Lister { args, root: &root, printer, text, form, first: true };
    let mut failures = Vec::new();
    let listed = lister.all(&image, &mut failures);
    for (path, error) in &failures {
        talk.error(&format!("{}: {error}", escape::bytes(path)), &[], None);
    }
    Ok(match listed {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            signals::caught().unwrap_or(Exit::Error)
        }
        Err(error) => talk.unwritten(&error, None),
        Ok(()) if failures.is_empty() => Exit::Done,
        Ok(()) => Exit::Error,
    })
}

struct Lister<'a> {
    args: &'a LsArgs,
    root: &'a Root<'a>,
    printer: Printer,
    /// What is to be written to standard output next.
    text: String,
    form: Form,
    /// Whether nothing was listed yet.
    first: bool,
}

impl<'a> Lister<'a> {
    fn all(
        &mut self,
        image: &ImageFiles,
        failures: &mut Vec<(Vec<u8>, LookupError)>,
    ) -> io::Result<()> {
        let mut paths: Vec<&[u8]> = self.args.paths.iter().map(|path| path.as_bytes()).collect();
        paths.sort_unstable();
        let (mut plain, mut directories) = (Vec::new(), Vec::new());
        for path in paths {
            match self.find(path) {
                Err(error) => failures.push((path.to_vec(), error)),
                Ok(node) if !self.args.directory && self.root.names(node).is_some() => {
                    directories.push((path, node));
                }
                Ok(node) => plain.push((path, node)),
            }
        }
        if self.args.json {
            self.text += &listing::json_begin(image);
        }
        let root = self.root;
        let items = plain.into_iter().map(|(name, node)| Item { name, entry: root.entry(node) });
        self.block(&[], &items.collect::<Vec<_>>())?;
        let titled = self.args.recursive || self.args.paths.len() > 1;
        for (path, node) in directories {
            self.directory(path, node, titled)?;
        }
        if self.args.json {
            self.text += &listing::json_end(failures);
        }
        self.write()
    }

    /// Writes the text so far. A signal is told as an interruption, which no writing ends with.
    fn write(&mut self) -> io::Result<()> {
        if self.text.len() >= PIECE && signals::caught().is_some() {
            return Err(ErrorKind::Interrupted.into());
        }
        let written = self.printer.out(&self.text);
        self.text.clear();
        written
    }

    /// The rules of `ls`: a link to a directory is followed when it is named itself, unless its own
    /// attributes are asked for.
    fn find(&self, path: &[u8]) -> Result<NodeId, LookupError> {
        if self.args.dereference {
            return self.root.lookup(path, true);
        }
        let node = self.root.lookup(path, false)?;
        let itself = self.args.long || self.args.json || self.args.directory;
        if !itself && self.root.entry(node).kind() == EntryKind::Symlink {
            let target = self.root.lookup(path, true);
            return Ok(target.ok().filter(|n| self.root.names(*n).is_some()).unwrap_or(node));
        }
        Ok(node)
    }

    /// What is in a directory, and with `--recursive` in all below: without recursion of ours, as an image
    /// decides how deep it is.
    fn directory(&mut self, path: &[u8], node: NodeId, titled: bool) -> io::Result<()> {
        let mut path = path.to_vec();
        let mut todo = vec![(path.len(), self.one(&path, node, titled)?.into_iter())];
        while let Some((length, children)) = todo.last_mut() {
            path.truncate(*length);
            let Some((name, node)) = children.next() else {
                todo.pop();
                continue;
            };
            if !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let below = self.one(&path, node, titled)?;
            todo.push((path.len(), below.into_iter()));
        }
        Ok(())
    }

    /// One directory; gives those in it that are to be listed as well.
    fn one(
        &mut self,
        path: &[u8],
        node: NodeId,
        titled: bool,
    ) -> io::Result<Vec<(&'a [u8], NodeId)>> {
        if titled && !self.args.json {
            let blank = if self.first { "" } else { "\n" };
            let _ = writeln!(self.text, "{blank}{}:", escape::bytes(path));
            self.first = false;
        }
        let root = self.root;
        let names: Vec<(&[u8], NodeId)> = root.names(node).into_iter().flatten().collect();
        let shown = names.iter().map(|(name, node)| {
            let mut shown = *node;
            if self.args.dereference && root.entry(*node).kind() == EntryKind::Symlink {
                // As `ls` does, a link that leads nowhere is shown itself.
                shown = root.lookup(&[path, b"/", name].concat(), true).unwrap_or(*node);
            }
            Item { name, entry: root.entry(shown) }
        });
        self.block(path, &shown.collect::<Vec<_>>())?;
        let below = names.into_iter().filter(|(_, node)| root.names(*node).is_some());
        Ok(if self.args.recursive { below.collect() } else { Vec::new() })
    }

    /// Items that stand together, in `directory`.
    fn block(&mut self, directory: &[u8], items: &[Item<'_>]) -> io::Result<()> {
        let widths = listing::Widths::of(items, self.form);
        for item in items {
            if self.args.json {
                self.text += if self.first { "\n" } else { ",\n" };
                self.text += &listing::json_entry(directory, item);
            } else {
                listing::line(&mut self.text, item, self.form, widths);
            }
            self.first = false;
            if self.text.len() >= PIECE {
                self.write()?;
            }
        }
        Ok(())
    }
}
