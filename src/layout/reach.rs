//! Which blobs a layout's roots lead to: the one answer for pruning, garbage collection, archives and for what is
//! shown as unreferenced.
//!
//! Rather too many than too few: what the tree of documents was read to lead to, and *every* name of a stored blob
//! in the bytes of every document on the way (`subject`, annotations, unknown members), whatever it stands
//! for and however it is written ([`super::mentions`]). A document is what may be a text by its beginning, of any
//! size and media type. Binary blobs (layers, zTOCs, compressed documents) lead to nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::Layout;
use super::descriptor::{AnyDescriptor, Object};
use super::found::entries;
use super::mentions::{BEGINNING, LENGTHS, Mentions, is_document};
use super::open::open_file;
use super::tree::{Content, Node, Tree};
use crate::error::Error;
use crate::layer::pieces;
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::{Digest, Hasher, hex, unhex};
use crate::oci::media_type::IN_TOTO;

/// What `docker save` writes beside `index.json` and `docker load` reads.
const DOCKER: [&str; 2] = ["manifest.json", "repositories"];

/// A blob that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Whether its content is that of its digest; `None` when it was not read.
    pub(crate) whole: Option<bool>,
}

/// Blobs that are there and that something leads to.
#[derive(Debug, Default)]
pub(crate) struct Reachable {
    pub(crate) sha256: BTreeMap<Digest, Reached>,
    /// Those of other algorithms by their places below `blobs` (`sha512/<hex>`), with their sizes in bytes.
    pub(crate) others: BTreeMap<String, u64>,
    /// The first document that is damaged or cannot be read: what it leads to is unknown. Who removes
    /// something must not go on.
    pub(crate) doubt: Option<Error>,
}

/// From where blobs are looked for, and how closely.
#[derive(Debug, Default)]
pub(crate) struct Search<'a> {
    texts: Vec<&'a str>,
    digests: Vec<Digest>,
    /// In-toto statements of attestations ([`Mentions::of_statement`]): as references, their subjects would keep
    /// every image that was replaced.
    statements: HashSet<Digest>,
    /// Whether Docker's documents count.
    docker: bool,
    /// Whether small blobs that begin as no document are read, too: a damaged one may have been one.
    careful: bool,
}

impl<'a> Search<'a> {
    /// From everything that names blobs in a layout with the `index.json` of this text.
    pub(crate) fn layout(index_json: &'a str) -> Self {
        Self { texts: vec![index_json], docker: true, ..Self::default() }
    }

    /// From several texts of `index.json`.
    pub(crate) fn texts(index_json: &[&'a str]) -> Self {
        Self { texts: index_json.to_vec(), docker: true, ..Self::default() }
    }

    /// From blobs.
    pub(crate) fn digests(digests: Vec<Digest>) -> Self {
        Self { digests, ..Self::default() }
    }

    /// Also from this text of `index.json`.
    pub(crate) fn text(mut self, index_json: &'a str) -> Self {
        self.texts.push(index_json);
        self
    }

    /// Also from what was read of the documents.
    pub(crate) fn tree(mut self, tree: &Tree) -> Self {
        tree.nodes().for_each(|node| self.node(node));
        self
    }

    fn node(&mut self, node: &Node) {
        self.digests.extend(node.known().map(|descriptor| descriptor.digest));
        let below = match &node.content {
            Content::Image(image) => &image.layers,
            Content::Soci(soci) => &soci.ztocs,
            Content::Attestation { manifest: Some(manifest) } | Content::Artifact(manifest) => {
                let layers = Object::read(&manifest.text, "attestation").and_then(|it| {
                    AnyDescriptor::read_list(it.value("layers").unwrap_or("null"), "")
                });
                let known =
                    layers.unwrap_or_default().into_iter().filter_map(AnyDescriptor::into_known);
                let statements = known.filter(|layer| layer.media_type == IN_TOTO);
                self.statements.extend(statements.map(|layer| layer.digest));
                return;
            }
            _ => return,
        };
        self.digests.extend(below.iter().map(|descriptor| descriptor.digest));
    }

    /// For somebody who removes what is not found.
    pub(crate) fn careful(self) -> Self {
        Self { careful: true, ..self }
    }

    /// Finds the blobs.
    ///
    /// # Errors
    /// [`Error::Io`] when the blobs cannot be listed.
    pub(crate) fn run(self, layout: &Layout) -> Result<Reachable, Error> {
        // Blobs that come later belong to an index.json that comes later.
        let stored = Stored::list(layout)?;
        let mut walk = Walk {
            layout,
            stored: &stored,
            careful: self.careful,
            statements: self.statements,
            found: Reachable::default(),
            waiting: Vec::new(),
        };
        for digest in self.digests {
            walk.name(&digest.0);
        }
        for text in self.texts {
            walk.text(text.as_bytes());
        }
        if self.docker {
            walk.docker();
        }
        while let Some(blob) = walk.waiting.pop() {
            walk.follow(blob);
        }
        Ok(walk.found)
    }
}

/// The names below `blobs`.
#[derive(Debug, Default)]
struct Stored {
    /// Directories of algorithms by the bytes of the names in them. Two algorithms can have digests of one length.
    names: HashMap<Vec<u8>, Vec<PathBuf>>,
    /// Whether a name ends with these two bytes: a document can have a million runs of digits.
    ends: Vec<bool>,
}

impl Stored {
    fn list(layout: &Layout) -> Result<Self, Error> {
        let root = layout.path().join("blobs");
        let mut stored = Self { names: HashMap::new(), ends: vec![false; 1 << 16] };
        for algorithm in entries(&root)? {
            let directory = algorithm.path();
            // It may be a link to a directory.
            if !directory.is_dir() {
                continue;
            }
            for entry in entries(&directory)? {
                let name = entry.file_name();
                let Some(bytes) = name.to_str().and_then(name_bytes) else { continue };
                stored.ends[end(&bytes)] = true;
                stored.names.entry(bytes).or_default().push(directory.clone());
            }
        }
        Ok(stored)
    }

    fn of(&self, name: &[u8]) -> &[PathBuf] {
        if !self.ends[end(name)] {
            return &[];
        }
        self.names.get(name).map_or(&[], Vec::as_slice)
    }
}

fn end(name: &[u8]) -> usize {
    name.last_chunk::<2>().map_or(0, |end| usize::from(u16::from_be_bytes(*end)))
}

/// The bytes of a digest's lowercase digits.
fn name_bytes(name: &str) -> Option<Vec<u8>> {
    if LENGTHS.contains(&name.len()) { unhex(name) } else { None }
}

/// A blob that is still to be looked into.
#[derive(Debug)]
enum Waiting {
    Sha256(Digest),
    Other(PathBuf),
}

struct Walk<'a> {
    layout: &'a Layout,
    stored: &'a Stored,
    careful: bool,
    statements: HashSet<Digest>,
    found: Reachable,
    waiting: Vec<Waiting>,
}

impl Walk<'_> {
    fn text(&mut self, bytes: &[u8]) {
        let mut names = Vec::new();
        Mentions::new().read(bytes, &mut self.collect(&mut names));
        self.names(names);
    }

    /// A collector of the stored names among candidates.
    fn collect<'n>(&self, names: &'n mut Vec<Vec<u8>>) -> impl FnMut(&[u8]) + use<'n, '_> {
        let stored = self.stored;
        move |name| {
            if !stored.of(name).is_empty() && names.last().is_none_or(|last| last != name) {
                names.push(name.to_vec());
            }
        }
    }

    fn names(&mut self, mut names: Vec<Vec<u8>>) {
        names.sort_unstable();
        names.dedup();
        for name in names {
            self.name(&name);
        }
    }

    /// All blobs of this name.
    fn name(&mut self, name: &[u8]) {
        for directory in self.stored.of(name) {
            let algorithm = directory.file_name().and_then(|name| name.to_str());
            match (algorithm, <[u8; 32]>::try_from(name)) {
                (Some("sha256"), Ok(bytes)) => self.sha256(Digest(bytes)),
                (Some("sha256") | None, _) => {}
                (Some(algorithm), _) => self.other(algorithm, directory, name),
            }
        }
    }

    fn sha256(&mut self, digest: Digest) {
        if self.found.sha256.contains_key(&digest) {
            return;
        }
        match self.layout.blob_size(&digest) {
            Ok(Some(size)) => {
                self.found.sha256.insert(digest, Reached { size, whole: None });
                self.waiting.push(Waiting::Sha256(digest));
            }
            Ok(None) => {}
            Err(error) => self.doubt(error),
        }
    }

    fn other(&mut self, algorithm: &str, directory: &Path, name: &[u8]) {
        let hex = hex(name);
        let path = directory.join(&hex);
        let size = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => return,
        };
        if self.found.others.insert(format!("{algorithm}/{hex}"), size).is_none() {
            self.waiting.push(Waiting::Other(path));
        }
    }

    fn docker(&mut self) {
        for name in DOCKER {
            let path = self.layout.path().join(name);
            if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file())
                && let Err(error) =
                    open(&path).and_then(|mut file| self.search(&path, &mut file, None))
            {
                self.doubt(error);
            }
        }
    }

    fn follow(&mut self, blob: Waiting) {
        let result = match blob {
            Waiting::Sha256(digest) => self.blob(digest),
            // Whether its content is that of its digest is not asked: it is never removed.
            Waiting::Other(path) => open(&path).and_then(|mut file| {
                let start = start(&path, &mut file)?;
                if !is_document(start.get_ref()) {
                    return Ok(());
                }
                self.search(&path, &mut start.chain(file), None)
            }),
        };
        if let Err(error) = result {
            self.doubt(error);
        }
    }

    fn blob(&mut self, digest: Digest) -> Result<(), Error> {
        let Some(reached) = self.found.sha256.get(&digest).copied() else { return Ok(()) };
        let Some(mut blob) = self.layout.open_blob(&digest, reached.size)? else { return Ok(()) };
        let path = self.layout.blob_path(&digest);
        let small = reached.size <= MAX_MANIFEST_SIZE;
        let start = start(&path, &mut blob)?;
        if is_document(start.get_ref()) || (self.careful && small) {
            self.search(&path, &mut start.chain(blob), Some(digest))?;
        }
        Ok(())
    }

    /// Searches a file to its end. What a damaged one mentions counts, but it may have mentioned more.
    fn search(
        &mut self,
        path: &Path,
        file: &mut dyn Read,
        digest: Option<Digest>,
    ) -> Result<(), Error> {
        let (mut hasher, mut names) = (Hasher::new(), Vec::new());
        let statement = digest.is_some_and(|digest| self.statements.contains(&digest));
        let mut mentions = if statement { Mentions::of_statement() } else { Mentions::new() };
        let read = pieces(file, &mut |piece| {
            hasher.update(piece);
            mentions.read(piece, &mut self.collect(&mut names));
            true
        });
        self.names(names);
        read.map_err(Error::io("read", path))?;
        let Some(digest) = digest else { return Ok(()) };
        let found = hasher.finish();
        if let Some(reached) = self.found.sha256.get_mut(&digest) {
            reached.whole = Some(found == digest);
        }
        if found == digest { Ok(()) } else { Err(Error::BlobDigest { digest, found }) }
    }

    fn doubt(&mut self, error: Error) {
        self.found.doubt.get_or_insert(error);
    }
}

fn open(path: &Path) -> Result<File, Error> {
    open_file(path).map_err(Error::io("open", path))
}

/// The first bytes of a file.
fn start(path: &Path, file: &mut dyn Read) -> Result<Cursor<Vec<u8>>, Error> {
    let mut start = Vec::new();
    file.take(BEGINNING).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(Cursor::new(start))
}
