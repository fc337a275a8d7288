//! An image of a registry as a layout: its documents in a directory of our own, all other blobs where they are. What works on
//! layouts works on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::blobs::RemoteBlobs;
use super::client::{Client, RegistryOptions};
use super::fetched::{Fetched, Problem, index_of};
use super::find::first_v1;
use super::reference::Reference;
use super::repository::{Repository, fallback_tag};
use super::source::RemoteSource;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::source::Source;
use crate::layout::tree::{self, Content, Node, Tree};
use crate::layout::workplace::Workplace;
use crate::oci::digest::Digest;
use crate::oci::json::write_string;
use crate::oci::media_type::OCI_INDEX;
use crate::threads;
use crate::trouble::RegistryTrouble as Trouble;

/// How often somebody is asked whether to go on.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// A client that can be kept anywhere, as long as `work` lasts; it gives up when `cancelled` says so.
///
/// # Errors
/// Those of [`Client::new`] and of `work`.
pub(crate) fn with_client<T>(
    options: &RegistryOptions,
    cancelled: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce(&Arc<Client<'static>>) -> Result<T, Error>,
) -> Result<T, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let client = Arc::new(Client::new(options, move || flag.load(Ordering::Relaxed))?);
    std::thread::scope(|scope| {
        let (working, ended) = channel::<()>();
        let ask = move || {
            while ended.recv_timeout(ASKED_EVERY) == Err(RecvTimeoutError::Timeout) {
                set.fetch_or(cancelled(), Ordering::Relaxed);
            }
        };
        // Without it a request ends by itself, in bounded time.
        let _ = threads::spawn(scope, "ask", ask);
        let result = work(&client);
        drop(working);
        result
    })
}

/// An image of a registry as a layout.
pub(crate) struct RemoteImage {
    pub(crate) layout: Layout,
    blobs: Arc<RemoteBlobs>,
    _work: Workplace,
}

impl RemoteImage {
    /// Fetches the documents. The entry of `index.json` is called `name`. With `referrers`, the V1 indexes are fetched that the
    /// registry lists.
    ///
    /// # Errors
    /// [`Error::Registry`]; [`Error::Io`].
    pub(crate) fn fetch(
        client: &Arc<Client<'static>>,
        reference: &Reference,
        name: Option<&str>,
        referrers: bool,
    ) -> Result<Self, Error> {
        let repository = Repository::new(client, reference, false);
        let fetched = repository.root()?;
        if let (Some(tag), Some(expected)) = (&reference.tag, reference.digest)
            && expected != fetched.digest
        {
            let request =
                repository.request(ureq::http::Method::GET, "", format!("read manifest {tag}"));
            let problem = format!(
                "expected the digest {expected}, found {} (the tag was moved)",
                fetched.digest
            );
            return Err(request.failed(reference, Problem::new(Trouble::Broken, problem)));
        }
        let source = RemoteSource::strict(&repository);
        source.keep(&fetched);
        let work = Workplace::new(&std::env::temp_dir())?;
        let blobs = RemoteBlobs::new(client, reference);
        let layout = Layout::create(&work.join("layout"))?;
        let keeping = Keeping { source: &source, layout: &layout };
        let mut index_json = index_of(&[fetched.as_entry(name)]);
        let tree = tree::read_all_from(&keeping, index_json.clone())?;
        source.failed()?;
        if referrers {
            index_json = keeping.with_referrers(&tree, &fetched, name)?;
        }
        let marker = work.join("layout").join("oci-layout");
        Layout::write_new(&marker, b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
        Layout::write_new(&layout.index_json(), index_json.as_bytes())?;
        blobs.ask(&blobs_of(&tree::read_all_from(&layout, index_json)?));
        let layout = layout.with_elsewhere(Arc::clone(&blobs) as _);
        Ok(Self { layout, blobs, _work: work })
    }

    /// The result of work on the layout; what kept the registry from being read comes first.
    ///
    /// # Errors
    /// That, and those of the result.
    pub(crate) fn ended<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match self.blobs.failed() {
            Err(error) => Err(error),
            Ok(()) => result,
        }
    }
}

/// What a run over the tree looks for.
fn blobs_of(tree: &Tree) -> Vec<Digest> {
    let mut found = BTreeSet::new();
    for node in tree.nodes() {
        match &node.content {
            Content::Image(image) => found.extend(image.layers.iter().map(|blob| blob.digest)),
            Content::Soci(soci) => found.extend(soci.ztocs.iter().map(|blob| blob.digest)),
            _ => {}
        }
    }
    found.into_iter().collect()
}

/// Keeps in a layout what is read of a repository.
struct Keeping<'a> {
    source: &'a RemoteSource<'a>,
    layout: &'a Layout,
}

impl Keeping<'_> {
    fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        Layout::write_new(&self.layout.blob_path(digest), bytes)
    }

    /// The text of `index.json` with a list for each image that has V1 indexes in the registry's lists of referrers.
    fn with_referrers(
        &self,
        tree: &Tree,
        root: &Fetched,
        name: Option<&str>,
    ) -> Result<String, Error> {
        let mut lists = Vec::new();
        let repository = self.source.repository();
        let images = tree.nodes().filter_map(Node::image);
        for (found, _) in images.filter(|(_, image)| image.soci_v2.is_none()) {
            let image = found.digest;
            let found = first_v1(&repository.referrers(&image)?, repository.reference())?;
            if let Some(first) = found {
                self.document(&first)?;
                let mut list = String::from("{\"schemaVersion\":2,\"mediaType\":");
                write_string(&mut list, OCI_INDEX);
                let bytes = format!("{list},\"manifests\":[{}]}}", first.text).into_bytes();
                let digest = Digest::of(&bytes);
                self.keep(&digest, &bytes)?;
                let media_type = OCI_INDEX.to_owned();
                let list = Fetched { bytes, media_type, digest };
                lists.push(list.as_entry(Some(&fallback_tag(&image))));
            }
        }
        lists.insert(0, root.as_entry(name));
        Ok(index_of(&lists))
    }
}

impl Source for Keeping<'_> {
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        let found = self.source.document(descriptor)?;
        if let Some(bytes) = &found {
            self.keep(&descriptor.digest, bytes)?;
        }
        Ok(found)
    }

    fn blob(&self, digest: &Digest, size: u64, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let found = self.source.blob(digest, size, limit)?;
        if let Some(bytes) = &found {
            self.keep(digest, bytes)?;
        }
        Ok(found)
    }

    fn place(&self) -> String {
        self.source.place()
    }
}
