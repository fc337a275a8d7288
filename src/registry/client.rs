//! One request to a registry: authorised, retried, redirected, within limits of time and size.
//!
//! - Credentials go to the registry and to the token server that it names, over TLS (or in plain HTTP to a registry that is
//!   asked so), and to nobody else: a redirect to another origin takes no `Authorization` along.
//! - What can be tried again is tried again: cut connections, 408, 429 (after as long as it says), 5xx.
//! - Errors name hosts, never URLs: those of storage behind registries are signed.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use httpdate::parse_http_date;
use ureq::http::{Method, StatusCode, Uri, header};
use ureq::{Agent, SendBody};

use super::challenge::Challenge;
use super::credentials::{self, Credential};
use super::fetched::Problem;
use super::reference::{Reference, is_loopback};
use super::request::{Answer, Payload, Request, read_all};
use super::tls;
use super::url::{Origin, encode, resolve};
use crate::error::Error;
use crate::oci::json::excerpt;
use crate::trouble::RegistryTrouble as Trouble;

/// How registries are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Speak plain HTTP to registries that are not on this machine, too. Credentials are then sent in clear.
    pub plain_http: bool,
    /// PEM file of certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Longest silence before a connection is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest time to establish a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Longest time for a request, besides that for its bytes at the slowest speed.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes per second; what is slower is given up.
const SLOWEST: u64 = 32 << 10;
/// Longest time to wait for a registry to check a blob that it has received.
const COMMIT: Duration = Duration::from_secs(1200);
/// How often a request is sent at most.
const ATTEMPTS: u32 = 5;
/// Longest time that a registry may ask to wait, in all for one request.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// Most redirects of one request.
const MAX_REDIRECTS: usize = 5;
/// Largest answer of a token server, in bytes.
const MAX_TOKEN_SIZE: u64 = 1 << 20;
/// Most bytes of an answer that says what is wrong.
const MAX_PROBLEM_SIZE: u64 = 16 << 10;

/// Talks to registries, for one run.
pub(crate) struct Client<'a> {
    /// Through the proxy that the environment names.
    proxied: Agent,
    direct: Agent,
    plain_http: bool,
    cancelled: Box<dyn Fn() -> bool + Send + Sync + 'a>,
    known: Mutex<Known>,
}

/// What was learnt.
#[derive(Default)]
struct Known {
    schemes: HashMap<String, &'static str>,
    /// Until when hosts want to be left alone.
    paused: HashMap<String, Instant>,
    credentials: HashMap<String, Result<Option<Credential>, String>>,
    /// Values of `Authorization` by host and scope.
    authorizations: HashMap<(String, String), String>,
    /// Never to be shown, even when a registry repeats it.
    secrets: Vec<String>,
}

impl<'a> Client<'a> {
    /// A client for one run, which gives up when `cancelled` says so.
    ///
    /// # Errors
    /// For the file of certificates.
    pub(crate) fn new(
        options: &RegistryOptions,
        cancelled: impl Fn() -> bool + Send + Sync + 'a,
    ) -> Result<Self, Error> {
        let tls = tls::config(options.ca_file.as_deref())?;
        let agent = |proxy| {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .tls_config(tls.clone())
                .proxy(proxy)
                .user_agent(concat!("soci-layout/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(SILENCE))
                .timeout_per_write(Some(SILENCE))
                .max_response_header_size(256 << 10)
                .build()
                .new_agent()
        };
        Ok(Self {
            proxied: agent(ureq::Proxy::try_from_env()),
            direct: agent(None),
            plain_http: options.plain_http,
            cancelled: Box::new(cancelled),
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until there is an answer that sending it again does not change. Statuses are the caller's business,
    /// apart from those that concern authorisation, redirects and waiting.
    ///
    /// # Errors
    /// [`Error::Registry`], [`Error::Cancelled`].
    pub(crate) fn send(&self, to: &Reference, request: &Request<'_>) -> Result<Answer, Error> {
        let (begun, mut waited) = (Instant::now(), Duration::ZERO);
        let mut attempt = 1;
        loop {
            if (self.cancelled)() {
                return Err(Error::Cancelled);
            }
            self.pause(to)?;
            let last = !request.again || attempt == ATTEMPTS;
            let last = last || begun.elapsed() > PATIENCE;
            let mut overloaded = false;
            let pause = match self.authorised(to, request) {
                Ok(answer) if !can_pass(answer.status) => return Ok(answer),
                Ok(answer) if last => {
                    let trouble = Trouble::Overloaded;
                    let tries =
                        if attempt > 1 { format!(", {attempt} times") } else { String::new() };
                    let problem = format!("{}{tries}", self.told(answer));
                    return Err(request.failed(to, Problem::new(trouble, problem)));
                }
                Ok(answer) => {
                    overloaded = matches!(answer.status.as_u16(), 429 | 503);
                    retry_after(&answer).map_or_else(|| backoff(attempt), spread)
                }
                Err(Stop::Cut(problem)) if last => return Err(request.failed(to, problem)),
                Err(Stop::Cut(_)) => backoff(attempt),
                Err(Stop::Final(problem)) => return Err(request.failed(to, problem)),
                Err(Stop::Own(error)) => return Err(error),
            };
            waited = waited.saturating_add(pause);
            if waited > MAX_WAIT {
                let problem = format!("it asks to wait {} s, which is too long", pause.as_secs());
                return Err(request.failed(to, Problem::new(Trouble::Overloaded, problem)));
            }
            if overloaded {
                // It concerns all that this run asks of it.
                self.known().paused.insert(to.host.clone(), Instant::now() + pause);
            }
            self.sleep(pause)?;
            attempt += 1;
        }
    }

    /// Waits as long as the registry wants to be left alone.
    fn pause(&self, to: &Reference) -> Result<(), Error> {
        let until = self.known().paused.get(&to.host).copied();
        until.map_or(Ok(()), |until| self.sleep(until.saturating_duration_since(Instant::now())))
    }

    /// Waits before something is tried for the `attempt`-th time again, from 1.
    pub(super) fn wait(&self, attempt: u32) -> Result<(), Error> {
        self.sleep(backoff(attempt))
    }

    fn sleep(&self, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        loop {
            if (self.cancelled)() {
                return Err(Error::Cancelled);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Sends a request once, with what the registry wants to see.
    fn authorised(&self, to: &Reference, request: &Request<'_>) -> Result<Answer, Stop> {
        let key = (to.host.clone(), request.scopes.join(" "));
        let used = self.known().authorizations.get(&key).cloned();
        let answer = self.redirected(to, request, used.as_deref())?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // A token may have expired; what it did not allow, a second one like it does not allow either.
        let challenge = Challenge::find(
            answer.headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok()),
        );
        let Some(challenge) = challenge else {
            let problem = self.told(answer);
            return Err(Stop::Final(Problem::new(Trouble::Denied, problem)));
        };
        let value = self.authorization(to, &challenge, &request.scopes)?;
        let answer = self.redirected(to, request, Some(&value))?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.known().authorizations.remove(&key);
            let problem = self.told(answer);
            return Err(Stop::Final(Problem::new(Trouble::Denied, problem)));
        }
        self.known().authorizations.insert(key, value);
        Ok(answer)
    }

    /// The value of `Authorization` that meets a challenge.
    fn authorization(
        &self,
        to: &Reference,
        challenge: &Challenge,
        scopes: &[String],
    ) -> Result<String, Stop> {
        let denied = |problem: String| Stop::Final(Problem::new(Trouble::Denied, problem));
        let known = self.known().credentials.get(&to.host).cloned();
        let credential = known.unwrap_or_else(|| {
            let found = credentials::find(&to.host);
            self.known().credentials.insert(to.host.clone(), found.clone());
            found
        });
        let credential = credential.map_err(denied)?;
        match challenge {
            Challenge::Basic => match &credential {
                Some(Credential::Password(name, password)) => Ok(self.basic(name, password)),
                Some(Credential::Identity(_)) => {
                    Err(denied("it wants a password, and there is a token for it".to_owned()))
                }
                None => Err(denied("it wants credentials, and there are none for it".to_owned())),
            },
            Challenge::Bearer { realm, service, scope } => {
                let mut wanted = scopes.to_vec();
                wanted.extend(scope.iter().filter(|scope| !scopes.contains(scope)).cloned());
                let ask = TokenRequest { realm, service: service.as_deref(), scopes: &wanted };
                let token = self.token(to, &ask, credential.as_ref())?;
                Ok(format!("Bearer {token}"))
            }
        }
    }

    fn basic(&self, name: &str, password: &str) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        self.known().secrets.extend([password.to_owned(), text.clone()]);
        format!("Basic {text}")
    }

    /// A token of the server that a registry names.
    fn token(
        &self,
        to: &Reference,
        ask: &TokenRequest<'_>,
        credential: Option<&Credential>,
    ) -> Result<String, Stop> {
        let broken = |problem: &str| {
            Stop::Final(Problem::new(Trouble::Broken, format!("its token server {problem}")))
        };
        let url: Uri = ask.realm.parse().map_err(|_| broken("has no valid URL"))?;
        let host = url.authority().map(|authority| authority.as_str().to_owned());
        let host = host.ok_or_else(|| broken("has no valid URL"))?;
        if url.scheme_str() != Some("https") && !self.may_be_plain(to, &host) {
            let problem = format!("its token server {host} does not use TLS");
            return Err(Stop::Final(Problem::new(Trouble::Denied, problem)));
        }
        let mut form: Vec<(&str, &str)> = Vec::new();
        form.extend(ask.service.map(|service| ("service", service)));
        form.extend(ask.scopes.iter().map(|scope| ("scope", scope.as_str())));
        let joined = ask.scopes.join(" ");
        let (text, value);
        let request = match credential {
            Some(Credential::Identity(token)) => {
                self.known().secrets.push(token.clone());
                form.retain(|(key, _)| *key != "scope");
                form.push(("scope", &joined));
                form.push(("grant_type", "refresh_token"));
                form.push(("client_id", "soci-layout"));
                form.push(("refresh_token", token));
                text = encode(&form);
                let mut request = Request::new(Method::POST, ask.realm.to_owned(), "get a token");
                let form = "application/x-www-form-urlencoded".to_owned();
                request.headers.push(("content-type", form));
                request.body = Payload::Bytes(text.as_bytes());
                value = None;
                request
            }
            other => {
                value = match other {
                    Some(Credential::Password(name, password)) => {
                        form.push(("account", name));
                        Some(self.basic(name, password))
                    }
                    _ => None,
                };
                let joint = if ask.realm.contains('?') { '&' } else { '?' };
                let target = format!("{}{joint}{}", ask.realm, encode(&form));
                Request::new(Method::GET, target, "get a token")
            }
        };
        let answer = self.redirected(to, &request, value.as_deref())?;
        match answer.status.as_u16() {
            200..=299 => {}
            400..=499 if answer.status != StatusCode::TOO_MANY_REQUESTS => {
                let problem = format!("its token server {host} refuses: {}", self.told(answer));
                return Err(Stop::Final(Problem::new(Trouble::Denied, problem)));
            }
            status => {
                let problem = format!("its token server {host} answers {status}");
                return Err(Stop::Cut(Problem::new(Trouble::Overloaded, problem)));
            }
        }
        let mut body = answer.body;
        let bytes = read_all(&mut body, MAX_TOKEN_SIZE).map_err(Stop::Cut)?;
        let found: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token =
            found.and_then(|found| found.token.filter(|t| !t.is_empty()).or(found.access_token));
        let usable = |token: &String| token.bytes().all(|b| b.is_ascii_graphic());
        let token = token.filter(usable).ok_or_else(|| broken("gives no token"))?;
        self.known().secrets.push(token.clone());
        Ok(token)
    }

    /// Whether this host may be spoken to without TLS, which was asked for `to` at most.
    fn may_be_plain(&self, to: &Reference, host: &str) -> bool {
        is_loopback(host) || (self.plain_http && !to.is_loopback())
    }

    /// Sends a request and follows redirects of what only reads.
    fn redirected(
        &self,
        to: &Reference,
        request: &Request<'_>,
        authorization: Option<&str>,
    ) -> Result<Answer, Stop> {
        let broken = |problem: String| Stop::Final(Problem::new(Trouble::Broken, problem));
        let invalid = || broken("it leads to an invalid URL".to_owned());
        let own: Uri = if request.target.starts_with('/') {
            format!("{}://{}{}", self.scheme(to), to.server(), request.target).parse()
        } else {
            request.target.parse()
        }
        .map_err(|_| invalid())?;
        let home = if request.target.starts_with('/') || request.is_for_token() {
            Origin::of(&own)
        } else {
            // An URL that the registry gave: its own origin is the one that knows the credentials.
            let base = format!("{}://{}", self.scheme(to), to.server());
            base.parse().ok().as_ref().and_then(Origin::of)
        };
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let mut url = own;
        for hop in 0..=MAX_REDIRECTS {
            let host = url.authority().map_or_else(String::new, |a| a.as_str().to_owned());
            if host.contains('@') {
                return Err(invalid());
            }
            let plain = url.scheme_str() != Some("https");
            let asked = hop == 0 && !request.is_for_token() && request.target.starts_with('/');
            if plain && !asked && !self.may_be_plain(to, &host) {
                return Err(broken(format!("it leads to {host} without TLS")));
            }
            let same = home.is_some() && Origin::of(&url) == home;
            let answer = self.once(&url, request, authorization.filter(|_| same), &host)?;
            let location = answer
                .header("location")
                .filter(|_| reads && matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308));
            let Some(location) = location else { return Ok(answer) };
            url = resolve(&url, location).ok_or_else(invalid)?;
            if plain_again(plain, &url) {
                return Err(broken("it leads from TLS to plain HTTP".to_owned()));
            }
        }
        Err(broken(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// One exchange with one host.
    fn once<'r>(
        &self,
        url: &Uri,
        request: &Request<'r>,
        authorization: Option<&str>,
        host: &str,
    ) -> Result<Answer, Stop> {
        let mut head =
            ureq::http::Request::builder().method(request.method.clone()).uri(url.clone());
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        if let Some(value) = authorization {
            head = head.header(header::AUTHORIZATION, value);
        }
        let (mut stream, size): (Option<Box<dyn Read + 'r>>, u64) = match &request.body {
            Payload::Nothing if matches!(request.method, Method::GET | Method::HEAD) => (None, 0),
            Payload::Nothing => (Some(Box::new(std::io::empty())), 0),
            Payload::Bytes(bytes) => (Some(Box::new(*bytes)), bytes.len() as u64),
            Payload::Stream(open, size) => (Some(open().map_err(Stop::Own)?), *size),
        };
        if stream.is_some() {
            head = head.header(header::CONTENT_LENGTH, size);
        }
        let agent = if is_loopback(host) { &self.direct } else { &self.proxied };
        let slowest = Duration::from_secs((size + request.expected) / SLOWEST);
        let commits = request.method == Method::PUT;
        let times = if commits {
            (COMMIT, PATIENCE + slowest + COMMIT)
        } else {
            (SILENCE, PATIENCE + slowest)
        };
        match &mut stream {
            Some(stream) => exchange(agent, head, SendBody::from_reader(stream), times, host),
            None => exchange(agent, head, SendBody::none(), times, host),
        }
    }

    /// `http` or `https`. On this machine both are found; what is elsewhere uses TLS, unless told otherwise.
    pub(super) fn scheme(&self, to: &Reference) -> &'static str {
        if !to.is_loopback() {
            return if self.plain_http { "http" } else { "https" };
        }
        if let Some(known) = self.known().schemes.get(&to.host) {
            return known;
        }
        let probe = self.direct.head(format!("https://{}/v2/", to.server()));
        let speaks = match probe.config().timeout_global(Some(CONNECT)).build().call() {
            Ok(_) => true,
            Err(error) => Problem::of(&error, &to.host).trouble == Trouble::Certificate,
        };
        let scheme = if speaks { "https" } else { "http" };
        self.known().schemes.insert(to.host.clone(), scheme);
        scheme
    }

    /// What an answer says is wrong, without secrets.
    pub(super) fn told(&self, answer: Answer) -> String {
        let Answer { status, mut body, .. } = answer;
        let mut text = Vec::new();
        let _ = body.as_reader().take(MAX_PROBLEM_SIZE).read_to_end(&mut text);
        let mut said = super::fetched::message(&text).unwrap_or_default();
        for secret in self.known().secrets.iter().filter(|secret| secret.len() > 3) {
            said = said.replace(secret.as_str(), "(secret)");
        }
        let said = excerpt(&said);
        let number = status.as_u16();
        let name = status.canonical_reason().unwrap_or("unknown status");
        if said.is_empty() {
            format!("it answers {number} ({name})")
        } else {
            format!("it answers {number} ({name}): {said}")
        }
    }
}

/// What a token server answers.
#[derive(serde::Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What a token server is asked for.
struct TokenRequest<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scopes: &'a [String],
}

/// Why there is no answer.
enum Stop {
    /// It may work the next time.
    Cut(Problem),
    Final(Problem),
    /// An error of this machine.
    Own(Error),
}

/// Sends a request, with the longest time for one read and for all of it.
fn exchange(
    agent: &Agent,
    head: ureq::http::request::Builder,
    body: SendBody<'_>,
    (read, all): (Duration, Duration),
    host: &str,
) -> Result<Answer, Stop> {
    let invalid = |_| Stop::Final(Problem::broken("it leads to an invalid header"));
    let request = head.body(body).map_err(invalid)?;
    let request = agent.configure_request(request);
    let request = request.timeout_per_read(Some(read)).timeout_global(Some(all)).build();
    match agent.run(request) {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        }
        Err(error) => {
            let problem = Problem::of(&error, host);
            Err(if problem.passes() { Stop::Cut(problem) } else { Stop::Final(problem) })
        }
    }
}

/// Whether an answer may be another one the next time.
fn can_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

fn plain_again(before: bool, url: &Uri) -> bool {
    !before && url.scheme_str() != Some("https")
}

/// Half a second, doubled each time; a part of it by chance, so that many that were cut together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let whole = Duration::from_millis(500 << attempt.saturating_sub(1).min(6));
    whole / 2 + whole / 2 * chance() / 1000
}

/// A time that was asked for, and up to a quarter more by chance, but few seconds.
fn spread(asked: Duration) -> Duration {
    asked.saturating_add(asked.min(Duration::from_secs(20)) / 4 * chance() / 1000)
}

/// From 0 to 999.
fn chance() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.subsec_nanos());
    (nanos ^ std::process::id().wrapping_mul(2_654_435_761)) % 1000
}

/// How long a registry asks to wait: for seconds, or until a date by its own clock.
fn retry_after(answer: &Answer) -> Option<Duration> {
    wait(answer.header("retry-after")?.trim(), answer.header("date"))
}

fn wait(asked: &str, now: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (parse_http_date(asked).ok()?, parse_http_date(now?).ok()?);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read() {
        let now = Some("Fri, 27 Nov 2026 17:10:00 GMT");
        for (asked, now, expected) in [
            ("0", None, Some(0)),
            ("120", None, Some(120)),
            ("18446744073709551615", None, Some(u64::MAX)),
            ("Fri, 27 Nov 2026 17:10:30 GMT", now, Some(30)),
            ("Sat, 28 Nov 2026 17:10:00 GMT", now, Some(86_400)),
            ("Mon, 01 Mar 2027 00:00:00 GMT", Some("Sun, 28 Feb 2027 23:59:59 GMT"), Some(1)),
            // The older forms (RFC 9110, 5.6.7).
            ("Friday, 27-Nov-26 17:10:30 GMT", now, Some(30)),
            ("Fri Nov 27 17:10:30 2026", now, Some(30)),
            // It is over, or cannot be told.
            ("Fri, 27 Nov 2026 17:09:00 GMT", now, Some(0)),
            ("Fri, 27 Nov 2026 17:10:30 GMT", None, None),
            ("Fri, 27 Nov 2026 17:10:30 GMT", Some("today"), None),
            ("Fri, 27 Nov 65535 65535:65535:65535 GMT", now, None),
            ("-1", now, None),
            ("", now, None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(wait(asked, now), expected, "{asked}, {now:?}");
        }
    }

    #[test]
    fn times_that_are_asked_for_are_kept_and_hardly_more() {
        for seconds in [0, 1, 60, 3600, u64::MAX] {
            let asked = Duration::from_secs(seconds);
            let most = asked.saturating_add(Duration::from_secs(5));
            assert!((asked..=most).contains(&spread(asked)), "{seconds}");
        }
    }

    #[test]
    fn waiting_grows_and_stays_bounded() {
        for attempt in 1..40 {
            let whole = Duration::from_millis(500 << (attempt - 1).min(6));
            let found = backoff(attempt);
            assert!(found >= whole / 2 && found <= whole, "{attempt}: {found:?}");
        }
    }
}
