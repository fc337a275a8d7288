//! Walks an archive's members and hands their content on: to the disk, and to scans on the side.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Scope;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc::Sender;
use tokio_stream::StreamExt;
use tokio_tar::{Archive, Entry};

use super::bounded::{Bounded, Position};
use super::disk::{Begin, Piece, Work};
use super::failure::{At, Failure};
use super::feed::Stop;
use super::policy::{self, BlobName, Document, Header, Member};
use super::side::{self, Passing, Side};
use crate::error::Error;
use crate::layer::CHUNK;
use crate::layout::Layout;
use crate::limits::{MAX_DESCRIPTORS, MAX_INDEX_JSON_SIZE, MAX_OCI_LAYOUT_SIZE};
use crate::trouble::InputTrouble;

/// Mode of a blob, as `BuildKit` leaves it.
const BLOB_MODE: u32 = 0o444;
/// Mode of the documents beside `blobs/`.
const DOCUMENT_MODE: u32 = 0o644;

/// Why a walk ended early.
pub(super) enum Ended {
    /// Because of the archive.
    Failed(Failure),
    /// The disk takes no more; its thread tells why.
    Disk,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Where members go.
pub(super) struct Walk<'scope, 'env> {
    pub(super) archive: Arc<str>,
    pub(super) layout: &'env Layout,
    pub(super) side: &'scope Side<'env>,
    pub(super) scope: &'scope Scope<'scope, 'env>,
    pub(super) disk: Sender<Work>,
    pub(super) position: Arc<Position>,
    pub(super) seen: Vec<Document>,
}

impl Walk<'_, '_> {
    /// Takes the whole archive.
    pub(super) async fn run<R: AsyncRead + Unpin>(mut self, tar: R) -> Result<(), Ended> {
        let mut archive = Archive::new(Bounded::new(tar, Arc::clone(&self.position)));
        let mut entries = archive.entries().map_err(|error| self.stopped(error))?;
        let mut members = 0;
        loop {
            self.position.expect_headers();
            let Some(entry) = entries.next().await else { break };
            let entry = entry.map_err(|error| self.stopped(error))?;
            members += 1;
            if members > MAX_DESCRIPTORS as u64 {
                let error = Error::Limit {
                    place: self.archive.to_string(),
                    what: "the number of members",
                    limit: MAX_DESCRIPTORS as u64,
                    found: members,
                };
                return Err(Failure::new(entry.raw_header_position(), error).into());
            }
            self.member(entry).await?;
        }
        drop(entries);
        self.position.expect_content();
        if self.position.ended() {
            let problem = "it is cut short: the end mark of the archive is not there";
            return Err(self.broken_at(self.position.bytes(), problem, None));
        }
        if let Ok(tar) = archive.into_inner() {
            self.rest(tar).await?;
        }
        self.complete()
    }

    async fn member<R: AsyncRead + Unpin>(&mut self, mut entry: Entry<R>) -> Result<(), Ended> {
        let offset = entry.raw_header_position();
        let mut pax = Vec::new();
        let records = entry.pax_extensions().await.map_err(|error| self.stopped(error))?;
        for record in records.into_iter().flatten() {
            let record = record.map_err(|error| self.stopped(error))?;
            pax.push((record.key_bytes().to_owned(), record.value_bytes().to_owned()));
        }
        let name = entry.path_bytes().map_err(|error| self.stopped(error))?.into_owned();
        let member = String::from_utf8_lossy(&name).into_owned();
        let at = At { archive: Arc::clone(&self.archive), member, offset };
        let header = Header {
            name: &name,
            kind: entry.header().as_bytes()[156],
            size: entry.effective_size(),
            size_alone: entry.header().raw_entry_size().map_err(|error| self.stopped(error))?,
            pax: pax.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect(),
        };
        let size = header.size;
        let member = policy::classify(&header).map_err(|no| at.refuse(no.problem, no.trouble))?;
        self.position.expect_content();
        match member {
            Member::Directory => Ok(()),
            Member::Document(document) => {
                check_size(document, size, &at)?;
                self.seen.push(document);
                let path = self.layout.path().join(document.name());
                let file = create(&path, DOCUMENT_MODE, &at)?;
                let begin = Begin { file, path, check: None, at };
                self.copy(entry, size, begin, None).await
            }
            Member::Blob(name) => {
                let path = self.blob_path(name).map_err(|error| at.failure(error))?;
                let file = create(&path, BLOB_MODE, &at)?;
                let begin = Begin { file, path, check: Some(name), at };
                self.copy(entry, size, begin, Some(name)).await
            }
        }
    }

    /// Hands a member's content on. `blob` is its name if it may be a layer.
    async fn copy<R: AsyncRead + Unpin>(
        &self,
        mut entry: Entry<R>,
        size: u64,
        mut begin: Begin,
        blob: Option<BlobName>,
    ) -> Result<(), Ended> {
        let mut left = size;
        let mut piece = self.piece(&mut entry, &mut left).await?;
        let scan = match (blob, side::sniff(&piece)) {
            (Some(BlobName::Sha256(digest)), Some(compression)) if self.side.wants(size) => {
                let (path, at) = (begin.path.clone(), begin.at.clone());
                let blob = Passing { digest, size, compression, path, at };
                self.side.start(self.scope, blob).await
            }
            _ => None,
        };
        if scan.is_some() {
            // It reads every byte and tells a wrong digest.
            begin.check = None;
        }
        self.to_disk(Work::Begin(begin)).await?;
        while !piece.is_empty() {
            if let Some(scan) = &scan {
                scan.pass(&piece).await;
            }
            self.to_disk(Work::Piece(piece)).await?;
            piece = self.piece(&mut entry, &mut left).await?;
        }
        if let Some(scan) = scan {
            scan.end().await;
        }
        self.to_disk(Work::End).await
    }

    /// The next piece of a member; an empty one at its end.
    async fn piece<R: AsyncRead + Unpin>(
        &self,
        entry: &mut Entry<R>,
        left: &mut u64,
    ) -> Result<Piece, Ended> {
        let want = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK);
        let mut piece = Vec::with_capacity(want);
        while piece.len() < want {
            let count = entry.read_buf(&mut piece).await.map_err(|error| self.stopped(error))?;
            if count == 0 {
                return Err(self.stopped(ErrorKind::UnexpectedEof.into()));
            }
        }
        *left -= want as u64;
        Ok(Arc::new(piece))
    }

    async fn to_disk(&self, work: Work) -> Result<(), Ended> {
        self.disk.send(work).await.map_err(|_closed| Ended::Disk)
    }

    /// Behind the end mark only zeros may follow; the input is read to its end, so that the program that writes
    /// it is not stopped, and so that the outer compression checks its sums.
    async fn rest<R: AsyncRead + Unpin>(&self, mut tar: R) -> Result<(), Ended> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let start = self.position.bytes();
            let count = tar.read(&mut buffer).await.map_err(|error| self.stopped(error))?;
            if count == 0 {
                return Ok(());
            }
            if let Some(at) = buffer[..count].iter().position(|byte| *byte != 0) {
                let problem = "something follows behind the end of the archive";
                return Err(self.broken_at(start + at as u64, problem, None));
            }
        }
    }

    /// Whether everything is there that makes a layout.
    fn complete(&self) -> Result<(), Ended> {
        let has = |document| self.seen.contains(&document);
        let (problem, trouble) = match (has(Document::IndexJson), has(Document::OciLayout)) {
            (true, true) => return Ok(()),
            (true, false) => (
                "it has no oci-layout file: it is not an archive of an OCI layout",
                InputTrouble::OtherFiles,
            ),
            (false, _) if has(Document::ManifestJson) => (
                "it is a docker-archive (manifest.json, no index.json), not an OCI layout",
                InputTrouble::DockerArchive,
            ),
            (false, _) => (
                "it has no index.json: it is not an archive of an OCI layout",
                InputTrouble::OtherFiles,
            ),
        };
        Err(self.broken_at(u64::MAX, problem, Some(trouble)))
    }

    fn blob_path(&self, name: BlobName) -> Result<PathBuf, Error> {
        Ok(match name {
            BlobName::Sha256(digest) => self.layout.blob_path(&digest),
            BlobName::Sha512(_) => {
                let directory = self.layout.path().join("blobs").join("sha512");
                match fs::create_dir(&directory) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(Error::io("create", &directory)(error));
                    }
                    _ => directory.join(name.hex()),
                }
            }
        })
    }

    /// What an error of the layers below means.
    pub(super) fn stopped(&self, error: io::Error) -> Ended {
        let offset = self.position.bytes();
        let error = match error.downcast::<Stop>() {
            // Whatever else happened is a consequence.
            Ok(Stop::Cancelled) => return Failure::new(0, Error::Cancelled).into(),
            Ok(Stop::Read(source)) => {
                let path = PathBuf::from(&*self.archive);
                return Failure::new(offset, Error::Io { action: "read", path, source }).into();
            }
            Ok(stop) => stop.to_string(),
            Err(_) if self.position.ended() => "it is cut short".to_owned(),
            Err(error) => format!("it is damaged: {error}"),
        };
        self.broken_at(offset, error, None)
    }

    fn broken_at(
        &self,
        offset: u64,
        problem: impl Into<String>,
        trouble: Option<InputTrouble>,
    ) -> Ended {
        let (archive, problem) = (self.archive.to_string(), problem.into());
        let known = (offset < u64::MAX).then_some(offset);
        Failure::new(offset, Error::Archive { archive, offset: known, problem, trouble }).into()
    }
}

fn check_size(document: Document, size: u64, at: &At) -> Result<(), Failure> {
    let limit = match document {
        Document::OciLayout => MAX_OCI_LAYOUT_SIZE,
        _ => MAX_INDEX_JSON_SIZE,
    };
    if size > limit {
        let problem = format!("its size of {size} bytes exceeds the limit of {limit}");
        return Err(at.refuse(problem, None));
    }
    Ok(())
}

/// A new file; one that is there was a member before.
fn create(path: &Path, mode: u32, at: &At) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            at.refuse("it appears more than once".to_owned(), None)
        } else {
            at.failure(Error::io("create", path)(error))
        }
    })
}
