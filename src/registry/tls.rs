//! Which certificates are trusted: those of the system, in the places where OpenSSL and Go look (`SSL_CERT_FILE`,
//! `SSL_CERT_DIR`), and those of a file that is named.
//!
//! No list of certificates is compiled in: one of a company, and a withdrawn one, are the system's business. The lists
//! are files on macOS too, so no framework has to be linked.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::error::Error;

/// Largest file of certificates, in bytes; those of systems have about 200 kB.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// The settings of TLS, with the certificates of `ca_file` besides the system's.
///
/// # Errors
/// [`Error::Io`] and [`Error::Document`] for `ca_file`. What the system has and cannot be read is passed over, as others do.
pub(super) fn config(ca_file: Option<&Path>) -> Result<TlsConfig, Error> {
    let mut roots = Vec::new();
    let found = openssl_probe::probe();
    if let Some(file) = &found.cert_file {
        roots.extend(read(file).unwrap_or_default());
    }
    for directory in &found.cert_dir {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        // Names as `c_rehash` gives them; a bundle lies there, too, and was read already.
        let hashed = |name: &str| name.len() > 9 && name.as_bytes()[8] == b'.';
        let files = entries.filter(|entry| entry.file_name().to_str().is_some_and(hashed));
        if found.cert_file.is_none() {
            roots.extend(files.flat_map(|entry| read(&entry.path()).unwrap_or_default()));
        }
    }
    if let Some(file) = ca_file {
        let own = read(file).map_err(Error::io("read", file))?;
        if own.is_empty() {
            return Err(Error::Document {
                place: file.display().to_string(),
                problem: "it has no certificate (PEM, BEGIN CERTIFICATE)".to_owned(),
            });
        }
        roots.extend(own);
    }
    let roots: Vec<Certificate<'static>> = roots;
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn read(file: &Path) -> std::io::Result<Vec<Certificate<'static>>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_CERTIFICATES).read_to_end(&mut bytes)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).flatten();
    Ok(certificates.map(|der| Certificate::from_der(&der).to_owned()).collect())
}
