//! How registries are reached: the options that all commands share which talk to one.

use std::path::PathBuf;

use clap::Args;
use soci_layout::registry::RegistryOptions;

/// Heading of these options in the help.
pub(super) const REGISTRY: &str = "Registry";

/// Settings of the connection.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RegistryArgs {
    /// Speak HTTP without TLS
    ///
    /// Credentials and content are then sent in clear. A registry on this machine is spoken to without TLS anyway
    /// when it has none.
    #[arg(long, help_heading = REGISTRY)]
    pub(crate) plain_http: bool,

    /// Trust the certificates in this PEM file, besides the system's
    ///
    /// For registries with a certificate of one's own. The environment variable `SSL_CERT_FILE` names another list for the
    /// system's.
    #[arg(long, value_name = "FILE", help_heading = REGISTRY)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl RegistryArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> RegistryOptions {
        RegistryOptions { plain_http: self.plain_http, ca_file: self.ca_file.clone() }
    }
}
