//! Places on the web: origins, where a `Location` leads, forms.

use std::fmt::Write as _;

use ureq::http::Uri;

/// Scheme, host and port.
#[derive(PartialEq, Eq)]
pub(super) struct Origin(String);

impl Origin {
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let (scheme, authority) = (url.scheme_str()?, url.authority()?);
        let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        // No user information: it is not a part of an origin, and nobody should be sent it.
        Some(Self(format!("{scheme}://{}:{port}", authority.host().to_ascii_lowercase())))
    }
}

/// Where a `Location` leads from an URL.
pub(super) fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    if location.contains("://") {
        return location.parse().ok();
    }
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let path = match (location.strip_prefix("//"), location.strip_prefix('/')) {
        (Some(_), _) => return format!("{scheme}:{location}").parse().ok(),
        (None, Some(_)) => location.to_owned(),
        (None, None) => {
            let path = base.path();
            format!("{}/{location}", path.rsplit_once('/').map_or("", |(before, _)| before))
        }
    };
    format!("{scheme}://{authority}{path}").parse().ok()
}

/// A form as URLs have it.
pub(super) fn encode(form: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in form {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base: Uri = "https://r.example:5000/v2/a/blobs/x?q=1".parse().expect("an URL");
        for (location, expected) in [
            ("https://s.example/y?sig=1", "https://s.example/y?sig=1"),
            ("//s.example/y", "https://s.example/y"),
            ("/v2/b", "https://r.example:5000/v2/b"),
            ("z?u=2", "https://r.example:5000/v2/a/blobs/z?u=2"),
        ] {
            assert_eq!(resolve(&base, location).expect(location).to_string(), expected);
        }
    }

    #[test]
    fn origins_have_their_default_ports() {
        let origin = |url: &str| Origin::of(&url.parse().expect(url)).map(|o| o.0);
        assert_eq!(origin("https://R.example/x"), origin("https://r.example:443/y"));
        assert_ne!(origin("https://r.example/x"), origin("http://r.example/x"));
        assert_ne!(origin("https://r.example/x"), origin("https://r.example.evil/x"));
        assert_ne!(origin("https://r.example:1/x"), origin("https://r.example:2/x"));
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(
            encode(&[("scope", "repository:a/b:pull,push"), ("s", "é ")]),
            "scope=repository%3Aa%2Fb%3Apull%2Cpush&s=%C3%A9%20"
        );
    }
}
