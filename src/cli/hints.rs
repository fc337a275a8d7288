//! What a person can do about an error of the library, in the words of the command line.

use std::io::ErrorKind;
use std::path::Path;

use soci_layout::{Error, InputTrouble, ParseDigestError, RegistryTrouble, Taken};

/// The hint for an error of a command, which `writes` into the layout or only reads it.
pub(crate) fn hint(error: &Error, writes: bool) -> Option<String> {
    Some(match error {
        Error::Io { action, source, .. } => {
            return system(action, source.kind(), writes).map(str::to_owned);
        }
        Error::NotALayout { path, trouble } => meant(path).or_else(|| instead(*trouble, false))?,
        Error::Archive { trouble, .. } | Error::Member { trouble, .. } => {
            return instead((*trouble)?, true);
        }
        Error::Output { taken, .. } => taken.map(replacing)?.to_owned(),
        Error::Registry { name, trouble, .. } => return registry(name, *trouble),
        error => known(error)?.to_owned(),
    })
}

/// The layout or image that a path that is none seems to mean: as other tools write layouts, or an image in a registry.
fn meant(path: &Path) -> Option<String> {
    if path.exists() {
        return None;
    }
    let text = path.to_str()?;
    let schemes = ["oci-layout://", "ocidir://", "oci-archive:", "docker://", "oci:"];
    let bare = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let named = bare.rsplit_once(':').filter(|(layout, _)| Path::new(layout).is_dir());
    if let Some((layout, name)) = named {
        return Some(format!(
            "give the directory, {layout}; --ref {name} chooses one of its names"
        ));
    }
    if bare != text && Path::new(bare).exists() {
        return Some(format!("give the path alone: {bare}"));
    }
    let (host, repository) = bare.split_once('/')?;
    let is_host = host == "localhost" || host.contains([':', '.']) && !host.starts_with('.');
    (is_host && !repository.is_empty()).then(|| {
        "index, verify and check take an image in a registry by its whole name, HOST/REPO:TAG; other commands want a layout"
            .to_owned()
    })
}

/// What can be done with something else than a layout, which is (in) an `archive` or a directory.
fn instead(trouble: InputTrouble, archive: bool) -> Option<String> {
    Some(match trouble {
        InputTrouble::Compressed(program) => {
            return Some(format!("{program} -dc ARCHIVE | soci-layout index -"));
        }
        InputTrouble::Absent => "export one: docker buildx build -o type=oci,tar=false,dest=DIR .",
        InputTrouble::TarArchive => {
            "soci-layout index ARCHIVE makes an indexed directory of it; or unpack it \
             (mkdir DIR && tar -xf ARCHIVE -C DIR), or export with tar=false"
        }
        InputTrouble::GzipFile => {
            "if it is an archive of a layout, soci-layout index ARCHIVE makes an indexed directory of it; or \
             unpack it (mkdir DIR && tar -xzf ARCHIVE -C DIR)"
        }
        InputTrouble::Directory => {
            "a directory is indexed in place and needs no other place for the result"
        }
        InputTrouble::EmptyDirectory => "was the export written somewhere else?",
        InputTrouble::EmptyFile => "did the command that should write it fail?",
        InputTrouble::DirTransport if archive => {
            "unpack and convert it: mkdir DIR && tar -xf ARCHIVE -C DIR && skopeo copy --all dir:DIR oci:NEW:TAG"
        }
        InputTrouble::DirTransport => "convert it: skopeo copy --all dir:DIR oci:NEW:TAG",
        InputTrouble::DockerArchive if archive => {
            "convert it (skopeo copy docker-archive:ARCHIVE oci-archive:NEW.tar:TAG), or save it with Docker 25 or newer"
        }
        InputTrouble::DockerArchive => {
            "pack and convert it (tar -C DIR -cf ARCHIVE . && skopeo copy docker-archive:ARCHIVE oci:NEW:TAG), \
             or save with Docker 25 or newer"
        }
        InputTrouble::NoMarker => {
            "if it is complete otherwise, add the file: {\"imageLayoutVersion\":\"1.0.0\"}"
        }
        InputTrouble::NoIndex => "the export or copy that made it was interrupted; make it again",
        InputTrouble::OtherFiles if archive => {
            "export one: docker buildx build -o type=oci,dest=image.tar ."
        }
        InputTrouble::File | InputTrouble::OtherFiles => {
            "give the directory that holds oci-layout and index.json"
        }
        InputTrouble::ZipArchive | InputTrouble::OtherFormat => {
            "export one (docker buildx build -o type=oci,dest=image.tar .) and give that"
        }
        InputTrouble::NotAtTop => {
            "make it of the layout itself: tar -C DIR -cf ARCHIVE . (buildx: type=oci,dest=ARCHIVE)"
        }
        InputTrouble::Links => {
            "store the files themselves: tar --dereference --hard-dereference -C DIR -cf ARCHIVE ."
        }
        InputTrouble::Corrupt => {
            "the archive is damaged or was not written completely; export the image again"
        }
        _ => return None,
    }
    .to_owned())
}

/// What the operating system refused. Only who writes needs a layout that can be written.
fn system(action: &str, refused: ErrorKind, writes: bool) -> Option<&'static str> {
    let reading = matches!(action, "read" | "open" | "list");
    Some(match refused {
        ErrorKind::PermissionDenied if !writes => {
            "this command cannot read it as you (nothing is written): look at the owner and mode of the layout's files"
        }
        ErrorKind::PermissionDenied if reading => {
            "it cannot be read as you: look at the owner and mode of the layout's files (the layout is edited in place, \
             so it must be writable for you, too)"
        }
        ErrorKind::PermissionDenied => {
            "the layout must be writable for you: it is edited in place (copy it to a directory of yours)"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "the layout is edited in place: copy it to a writable file system first"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "nothing was changed: free some space and run it again (zTOCs take about 1 % of the layers' size)"
        }
        _ => return None,
    })
}

/// What can be done about a registry.
fn registry(name: &str, trouble: RegistryTrouble) -> Option<String> {
    let host = name.split('/').next().unwrap_or(name);
    Some(match trouble {
        RegistryTrouble::Unreachable => {
            "look at the name, the network and HTTPS_PROXY; for a registry without TLS, --plain-http".to_owned()
        }
        RegistryTrouble::Certificate => {
            "--ca-file FILE (or SSL_CERT_FILE) names the certificates of a registry of one's own".to_owned()
        }
        RegistryTrouble::Denied => {
            format!("docker login {host} (or a credential helper for it); its account needs rights on this repository")
        }
        RegistryTrouble::NotFound => "look at the name and the tag".to_owned(),
        RegistryTrouble::Immutable => {
            "the tag leads to another image: tags may be immutable there, or not this account's to move; choose another tag".to_owned()
        }
        RegistryTrouble::Overloaded => "try again later".to_owned(),
        _ => return None,
    })
}

fn replacing(taken: Taken) -> &'static str {
    match taken {
        Taken::Replaceable => "--force replaces it, --output names another place",
        Taken::NotALayout => {
            "--force replaces only OCI layouts and empty directories; remove it yourself"
        }
        Taken::Shared => {
            "--force replaces the whole directory; move them away, or choose another --output"
        }
        _ => "choose another --output",
    }
}

fn known(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::LayoutVersion { .. } => {
            "only version 1.0.0 of the OCI image layout exists; was it written by another kind of tool?"
        }
        Error::InvalidDigest { source: ParseDigestError::Algorithm(_), .. } => {
            "rebuild or copy the image with sha256 digests (the default of every builder)"
        }
        Error::BlobMissing { .. } => {
            "the layout is incomplete: export or copy it again (skopeo copy --all, crane pull --format oci), \
             or pick what is there with --platform"
        }
        Error::LinkedBlobs { .. } => {
            "copy the layout with the files that its links lead to: cp -rL DIR NEW && chmod -R u+w NEW \
             (links are not followed: the files belong to somebody else)"
        }
        Error::BlobType { .. } => {
            "links are not followed out of a layout; copy the file into blobs/sha256 instead"
        }
        Error::BlobSize { .. } | Error::BlobDigest { .. } | Error::CorruptLayer { .. } => {
            "the image is damaged or was not written completely; export or push it again"
        }
        Error::UnsupportedLayer { .. } => {
            "without --strict such a layer is skipped and the others are indexed"
        }
        Error::PrefetchNotFound { .. } => {
            "soci-layout ls DIR / shows what is there; without --strict the others are taken"
        }
        Error::UnreadableLayer { .. } => "--layer shows one of the other layers",
        Error::SpanDigest { .. } | Error::BadZtoc { .. } => {
            "a runtime would fail to read the file (or show wrong content); soci-layout verify lists all \
             that is wrong, soci-layout index makes the zTOC again"
        }
        Error::SeveralImages { .. } => "choose one with --ref NAME or --platform OS/ARCH",
        Error::SeveralNames { .. } => {
            "LAYOUT:NAME chooses one (soci-layout index --name names one that has none)"
        }
        Error::SeveralNamed { .. } => "choose one with --ref NAME",
        Error::NoImage { .. } => {
            "was it exported with an image? A build cache or an artifact alone cannot be indexed"
        }
        Error::AllMissing { .. } => {
            "the layout is incomplete: export or copy the image again, with all that it leads to \
             (skopeo copy --all, crane pull --format oci)"
        }
        Error::TaggedImageIndex => "use --v1-shape nested",
        Error::NeedsName { .. } => "give it one with --name NAME, or use --v1-shape nested",
        Error::Locked { .. } => {
            "wait for the other process (a build that exports here, another soci-layout) and try again"
        }
        Error::ExternalBlobs { .. } => {
            "nothing was removed; --external-blobs removes what this layout does not refer to, also from there"
        }
        Error::Changed { .. } => "run it again when the other process has finished",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command that writes nothing does not ask for a layout that can be written.
    #[test]
    fn permission_denied_by_what_was_done() {
        for (action, writes, part) in [
            ("read", false, "nothing is written"),
            ("create", false, "nothing is written"),
            ("list", true, "cannot be read as you"),
            ("create", true, "must be writable"),
            ("replace", true, "edited in place"),
        ] {
            let source = ErrorKind::PermissionDenied.into();
            let error = Error::Io { action, path: "x".into(), source };
            let found = hint(&error, writes).expect("a hint");
            assert!(found.contains(part), "{action} {writes}: {found}");
            assert!(writes || !found.contains("edited"), "{found}");
        }
        assert_eq!(system("read", ErrorKind::NotFound, true), None);
    }

    #[test]
    fn what_people_write_in_place_of_a_path() {
        for (path, part) in [
            ("src:v1", "--ref v1"),
            ("./src:v1", "give the directory, ./src;"),
            ("oci:src:v1", "give the directory, src;"),
            ("oci:./src", "give the path alone: ./src"),
            ("oci-archive:Cargo.toml", "give the path alone: Cargo.toml"),
            ("r.example/app", "HOST/REPO:TAG"),
            ("docker://localhost:5000/app:v1", "HOST/REPO:TAG"),
            ("nothing", "export one"),
            ("./no.thing/a", "export one"),
            ("src", "export one"),
        ] {
            let error = Error::NotALayout { path: path.into(), trouble: InputTrouble::Absent };
            let found = hint(&error, true).expect("a hint");
            assert!(found.contains(part), "{path}: {found}");
        }
    }

    #[test]
    fn ways_out_are_options() {
        for (error, part) in [
            (Error::SeveralNamed { name: "n".to_owned() }, "--ref"),
            (Error::TaggedImageIndex, "--v1-shape"),
            (Error::SeveralImages { found: Vec::new() }, "--platform"),
            (
                Error::Output {
                    path: "x".into(),
                    problem: "exists".to_owned(),
                    taken: Some(Taken::Replaceable),
                },
                "--force",
            ),
        ] {
            assert!(hint(&error, true).is_some_and(|hint| hint.contains(part)), "{error}");
        }
        assert_eq!(hint(&Error::Cancelled, true), None);
    }
}
