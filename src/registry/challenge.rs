//! What a registry wants to see before it answers: the header `WWW-Authenticate` (RFC 9110, 11.6.1).

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password.
    Basic,
    /// A token from the server `realm`.
    Bearer {
        /// URL of the token server.
        realm: String,
        /// Name of the registry for it.
        service: Option<String>,
        /// What the token should allow, as the registry says.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The challenge of a header's values that can be met; tokens before passwords.
    pub(super) fn find<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut found = None;
        for value in values {
            for (scheme, parameters) in challenges(value) {
                let get = |name: &str| {
                    parameters
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name))
                        .map(|p| p.1.clone())
                };
                if scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = get("realm")
                {
                    return Some(Self::Bearer {
                        realm,
                        service: get("service"),
                        scope: get("scope"),
                    });
                }
                if scheme.eq_ignore_ascii_case("basic") {
                    found = Some(Self::Basic);
                }
            }
        }
        found
    }
}

type Parameters = Vec<(String, String)>;

/// Splits `Bearer realm="…",service="…", Basic realm="…"`.
fn challenges(mut text: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.~+/".contains(c)));
        let (word, rest) = text.split_at(length.unwrap_or(text.len()));
        if word.is_empty() {
            return found;
        }
        let Some(value) = rest.strip_prefix('=') else {
            found.push((word.to_owned(), Vec::new()));
            text = rest;
            continue;
        };
        let (value, rest) = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted)
        } else {
            let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
            (value[..end].to_owned(), &value[end..])
        };
        if let Some((_, parameters)) = found.last_mut() {
            parameters.push((word.to_owned(), value));
        }
        text = rest;
    }
}

/// A quoted text without its quotes, and what is behind it.
fn unquote(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return (value, &text[at + 1..]),
            '\\' if !escaped => escaped = true,
            c => {
                escaped = false;
                value.push(c);
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_registries_send() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        };
        for (text, expected) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://a.example/token\",service=\"r\",scope=\"repository:a:pull,push\"",
                Some(bearer("https://a.example/token", Some("r"), Some("repository:a:pull,push"))),
            ),
            (
                "Basic realm=\"a, Bearer\", bearer realm=https://b/t",
                Some(bearer("https://b/t", None, None)),
            ),
            ("Bearer realm=\"a\\\"b", Some(bearer("a\"b", None, None))),
            ("Bearer service=x", None),
            ("Negotiate", None),
            ("", None),
            ("=,=\"", None),
        ] {
            assert_eq!(Challenge::find([text].into_iter()), expected, "{text}");
        }
    }
}
