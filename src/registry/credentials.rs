//! Credentials as docker keeps them: `config.json` (`DOCKER_CONFIG`, else `~/.docker`) with `auths`, `credHelpers` and
//! `credsStore`.
//!
//! What is secret has no `Debug` and no `Display`, and the errors of helpers are not shown: they hold what the helper printed.

use docker_credential::{CredentialRetrievalError as Problem, DockerCredential};

/// What a registry is told about who asks.
#[derive(Clone)]
pub(super) enum Credential {
    /// Name and password.
    Password(String, String),
    /// A token that a token server exchanges for others.
    Identity(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// The credential for a host as people write it; `None` when there is none.
///
/// # Errors
/// Why a configuration or a helper that is there cannot be used, without its output.
pub(super) fn find(host: &str) -> Result<Option<Credential>, String> {
    // The name that `docker login` writes for Docker Hub.
    let server = if host == "docker.io" { "https://index.docker.io/v1/" } else { host };
    match docker_credential::get_credential(server) {
        Ok(DockerCredential::UsernamePassword(name, _)) if name.is_empty() => Ok(None),
        Ok(DockerCredential::UsernamePassword(name, password)) => {
            Ok(Some(Credential::Password(name, password)))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credential::Identity(token))),
        Err(Problem::NoCredentialConfigured | Problem::ConfigNotFound) => Ok(None),
        // What docker's helpers print for a host that they have nothing for.
        Err(Problem::HelperFailure { stdout, stderr, .. })
            if [&stdout, &stderr].iter().any(|text| text.contains("credentials not found")) =>
        {
            Ok(None)
        }
        Err(Problem::HelperFailure { helper, .. }) => Err(format!("{helper} failed")),
        Err(Problem::HelperCommunicationError) => {
            Err("the credential helper that docker's config.json names cannot be run".to_owned())
        }
        Err(Problem::MalformedHelperResponse) => {
            Err("the credential helper's answer is not the JSON that docker expects".to_owned())
        }
        Err(Problem::ConfigReadError) => Err("docker's config.json cannot be read".to_owned()),
        Err(Problem::CredentialDecodingError | Problem::CredentialMismatchError) => {
            Err("the entry in docker's config.json is not valid".to_owned())
        }
    }
}
