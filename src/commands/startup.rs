//! How soon an image would be started and ready over a line: unpacked, loaded lazily, and with a list fetched ahead.
//!
//! A model of few numbers, which docs/lazy-loading.md states and holds against what `make start` measures. **Started** is when
//! the program begins, **ready** when it has read what it needs; the time for which the program itself computes is the
//! same in all ways, not known here, and left out.

use serde::{Deserialize, Serialize};

use super::link::Link;
use super::timetable::{Work, play};

/// What the model knows of one layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartupLayer {
    /// Bytes of the blob.
    pub size: u64,
    /// Uncompressed bytes, where they are known.
    pub content: Option<u64>,
    /// Files in it, where they are known.
    pub files: u64,
    /// How it is loaded lazily; `None` for a layer that is fetched whole.
    pub lazy: Option<LazyLayer>,
}

/// A layer with a zTOC.
#[derive(Clone, Copy, Debug, Default)]
pub struct LazyLayer {
    /// Bytes of the zTOC.
    pub ztoc_size: u64,
    /// Its spans.
    pub spans: u64,
    /// Spans that its prefetch artifact lists.
    pub listed: u64,
    /// Their compressed bytes.
    pub listed_bytes: u64,
}

/// An image and the line that it comes over.
#[derive(Clone, Debug)]
pub struct StartupImage {
    /// Its layers, bottom first.
    pub layers: Vec<StartupLayer>,
    /// Whether `ctr image pull` fetches each zTOC once more, as the SOCI index has the image's platform.
    pub ztocs_twice: bool,
}

/// How soon an image would be started and ready, in seconds from the beginning of the pull.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Startup {
    /// Pulled and unpacked.
    pub unpacked: Moments,
    /// Loaded lazily by a reader that fetches nothing ahead.
    pub lazy: Moments,
    /// Loaded lazily by a reader that fetches the listed spans ahead.
    pub prefetched: Moments,
    /// Whether the image has a list. Without one it is taken that a usual share of each layer is read.
    pub listed: bool,
    /// What follows.
    pub verdict: Verdict,
}

/// Moments of a start, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Moments {
    /// The program begins.
    pub started: f64,
    /// The program has read what it needs; what it computes comes on top.
    pub ready: f64,
}

/// Whether lazy loading makes an image ready sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// No layer is lazy.
    Unpacked,
    /// By each reader.
    Sooner,
    /// By readers that fetch its list ahead; by others later.
    SoonerWithPrefetch,
    /// It needs a list, which it does not have.
    NeedsPrefetch,
    /// With a list, too, it is ready later.
    Later,
}

impl Verdict {
    /// The sentence that says it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Unpacked => "no layer is lazy: the image starts as it would without an index",
            Self::Sooner => "lazy loading will make this image ready sooner",
            Self::SoonerWithPrefetch => {
                "lazy loading will make this image ready sooner where the reader fetches its prefetch list, later elsewhere"
            }
            Self::NeedsPrefetch => {
                "lazy loading will make this image ready later: give it a prefetch list, or do not index it"
            }
            Self::Later => {
                "lazy loading will make this image ready later, with a prefetch list too: do not index it"
            }
        }
    }
}

/// Documents before a pull knows its layers: index, manifest, configuration.
const DOCUMENTS: f64 = 4.0;
/// Further requests in a row with a SOCI index: its manifest, and two questions for each layer at the same time.
const SOCI_DOCUMENTS: f64 = 6.0;
/// Blobs that containerd fetches at a time.
const DOWNLOADS: usize = 3;
/// What the runtime does before and after: resolving, snapshots, mounts, the container.
const RUNTIME: f64 = 0.3;
/// Bytes of archive that containerd unpacks in a second, and how long it takes besides to make a file.
const UNPACKED: f64 = 150e6;
const FILE: f64 = 0.2e-3;
/// Bytes of archive that the reader checks, inflates and keeps in a second on one processor.
const INFLATED: f64 = 120e6;
/// Seconds that a program waits longer for a byte of archive as it is read through FUSE.
const FUSE: f64 = 8e-9;
/// Uncompressed bytes for one of a layer that says nothing.
const RATIO: f64 = 2.6;
/// The part of a lazy layer that a program reads until it is ready, when no list says it.
const READ: f64 = 0.6;
/// Spans that are read until the program begins.
const FIRST: f64 = 6.0;

/// Requests and compressed bytes, with what they are uncompressed.
#[derive(Clone, Copy, Debug, Default)]
struct Fetch {
    requests: f64,
    bytes: f64,
    content: f64,
}

/// Estimates how soon an image is started and ready over a line.
#[must_use]
pub fn estimate(image: &StartupImage, link: &Link) -> Startup {
    let unpacked = pulled(link, image.layers.iter()) + DOCUMENTS * latency(link) + RUNTIME;
    let unpacked = Moments { started: unpacked, ready: unpacked };
    let any = image.layers.iter().filter_map(|layer| layer.lazy).collect::<Vec<_>>();
    if any.is_empty() {
        let verdict = Verdict::Unpacked;
        return Startup { unpacked, lazy: unpacked, prefetched: unpacked, listed: false, verdict };
    }
    let listed = any.iter().any(|lazy| lazy.listed > 0);
    let read: Vec<Fetch> = image.layers.iter().filter_map(|layer| layer.read(listed)).collect();
    let all = read.iter().fold(Fetch::default(), |sum, one| Fetch {
        requests: sum.requests + one.requests,
        bytes: sum.bytes + one.bytes,
        content: sum.content + one.content,
    });
    let mounted = mounted(image, link);
    // One request after the other.
    let on_demand = |part: f64| {
        part * (all.requests * latency(link) + all.bytes / bandwidth(link) + all.content / INFLATED)
    };
    let through_fuse = all.content * FUSE;
    let first = (FIRST / all.requests.max(1.0)).min(1.0);
    let lazy = Moments {
        started: mounted + on_demand(first),
        ready: mounted + on_demand(1.0) + through_fuse,
    };
    let started = mounted + ahead(&read, link);
    let prefetched = Moments { started, ready: started + through_fuse };
    let verdict = match (lazy.ready <= unpacked.ready, prefetched.ready <= unpacked.ready) {
        (true, _) => Verdict::Sooner,
        (false, true) if listed => Verdict::SoonerWithPrefetch,
        (false, true) => Verdict::NeedsPrefetch,
        (false, false) => Verdict::Later,
    };
    Startup { unpacked, lazy, prefetched, listed, verdict }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
impl StartupLayer {
    fn content(&self) -> f64 {
        self.content.map_or(self.size as f64 * RATIO, |content| content as f64)
    }

    /// What is read of it lazily until the program is ready.
    fn read(&self, listed: bool) -> Option<Fetch> {
        let lazy = self.lazy?;
        let (requests, bytes) = if listed {
            (lazy.listed as f64, lazy.listed_bytes as f64)
        } else {
            ((lazy.spans as f64 * READ).ceil(), self.size as f64 * READ)
        };
        let content = self.content() * bytes / (self.size as f64).max(1.0);
        Some(Fetch { requests, bytes, content })
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn bandwidth(link: &Link) -> f64 {
    link.bandwidth.max(1) as f64
}

fn latency(link: &Link) -> f64 {
    link.latency.as_secs_f64()
}

/// When transfers end that take these times alone, so many at a time.
fn ends(link: &Link, alone: impl Iterator<Item = f64>, at_a_time: usize) -> Vec<f64> {
    let work: Vec<Work> = alone.map(|seconds| Work { walk: seconds, hash: 0.0 }).collect();
    let lines = if link.each { at_a_time } else { 1 };
    play(&work, at_a_time, lines, true).into_iter().map(|(_, end)| end).collect()
}

/// How long containerd takes to fetch layers and to unpack them in their order.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn pulled<'a>(link: &Link, layers: impl Iterator<Item = &'a StartupLayer> + Clone) -> f64 {
    let alone = layers.clone().map(|layer| latency(link) + layer.size as f64 / bandwidth(link));
    let fetched = ends(link, alone, DOWNLOADS);
    layers.zip(fetched).fold(0.0, |unpacked: f64, (layer, fetched)| {
        unpacked.max(fetched) + layer.content() / UNPACKED + layer.files as f64 * FILE
    })
}

/// How long it takes until the lazy layers are mounted and the others unpacked.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn mounted(image: &StartupImage, link: &Link) -> f64 {
    let ztocs = image.layers.iter().filter_map(|layer| layer.lazy);
    let alone = ztocs.map(|lazy| latency(link) + lazy.ztoc_size as f64 / bandwidth(link));
    let once = ends(link, alone, DOWNLOADS).into_iter().fold(0.0, f64::max);
    let ztocs = if image.ztocs_twice { 2.0 * once } else { once };
    let eager = image.layers.iter().filter(|layer| layer.lazy.is_none());
    (DOCUMENTS + SOCI_DOCUMENTS) * latency(link) + ztocs + pulled(link, eager) + RUNTIME
}

/// How long the reader fetches ahead: all layers at the same time, each with so many connections as it has
/// processors; each inflates what it has got before it asks for more.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, never negative"
)]
fn ahead(read: &[Fetch], link: &Link) -> f64 {
    let connections = link.connections.get().min(1 << 10) as usize;
    let shares = read.iter().flat_map(|layer| {
        let share = layer.requests.min(connections as f64).max(1.0);
        let alone = (layer.requests / share).ceil() * latency(link)
            + layer.bytes / share / bandwidth(link)
            + layer.content / share / INFLATED;
        std::iter::repeat_n(alone, share as usize)
    });
    let shares: Vec<f64> = shares.collect();
    let fetched =
        ends(link, shares.iter().copied(), shares.len().max(1)).into_iter().fold(0.0, f64::max);
    let content: f64 = read.iter().map(|layer| layer.content).sum();
    fetched.max(content / INFLATED / connections as f64)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;

    const MB: u64 = 1_000_000;

    fn link(bandwidth: u64, each: bool) -> Link {
        let connections = NonZeroU64::new(2).expect("not 0");
        Link { bandwidth, each, latency: Duration::from_millis(10), connections }
    }

    fn lazy(size: u64, ztoc_size: u64, spans: u64, listed: u64) -> StartupLayer {
        let listed_bytes = size * listed / spans;
        let lazy = Some(LazyLayer { ztoc_size, spans, listed, listed_bytes });
        StartupLayer { size, content: Some(size * 3), lazy, ..StartupLayer::default() }
    }

    fn startup(layers: &[StartupLayer], link: Link) -> Startup {
        estimate(&StartupImage { layers: layers.to_vec(), ztocs_twice: true }, &link)
    }

    #[test]
    fn verdicts() {
        let eager = StartupLayer { size: 5 * MB, ..StartupLayer::default() };
        let whole = lazy(300 * MB, 4 * MB, 100, 0);
        let most = lazy(300 * MB, 4 * MB, 100, 95);
        let half = lazy(300 * MB, 4 * MB, 100, 50);
        let little = lazy(300 * MB, 4 * MB, 100, 5);
        // Three layers come at the same time where each connection has a line of its own.
        let third = |listed| lazy(100 * MB, 4 * MB, 34, listed);
        for (layers, link, expected) in [
            (&[eager][..], link(12 * MB, true), Verdict::Unpacked),
            (&[eager, little], link(12 * MB, true), Verdict::Sooner),
            (&[whole], link(12 * MB, false), Verdict::Sooner),
            (&[third(0); 3], link(12 * MB, true), Verdict::NeedsPrefetch),
            (&[third(17); 3], link(12 * MB, true), Verdict::SoonerWithPrefetch),
            (&[half], link(12 * MB, true), Verdict::Sooner),
            (&[most], link(1000 * MB, true), Verdict::Later),
        ] {
            let found = startup(layers, link);
            assert_eq!(found.verdict, expected, "{layers:?} {found:?}");
        }
    }

    #[test]
    fn more_to_fetch_takes_longer() {
        let at = |layers: &[StartupLayer]| startup(layers, link(12 * MB, true));
        let base = at(&[lazy(100 * MB, MB, 40, 10)]);
        let grown = [
            at(&[lazy(200 * MB, MB, 40, 10)]),
            at(&[lazy(100 * MB, 2 * MB, 40, 10)]),
            at(&[lazy(100 * MB, MB, 40, 20)]),
            at(&[lazy(100 * MB, MB, 40, 10), lazy(100 * MB, MB, 40, 10)]),
            startup(&[lazy(100 * MB, MB, 40, 10)], link(6 * MB, true)),
        ];
        for other in grown {
            assert!(other.lazy.ready > base.lazy.ready, "{other:?}");
            assert!(other.prefetched.ready > base.prefetched.ready, "{other:?}");
            assert!(other.unpacked.ready >= base.unpacked.ready, "{other:?}");
        }
        let once = StartupImage { layers: vec![lazy(100 * MB, MB, 40, 10)], ztocs_twice: false };
        assert!(estimate(&once, &link(12 * MB, true)).lazy.started < base.lazy.started);
    }

    /// The images of `make start` as its rows have them, at 12.5 MB/s and 10 ms: no estimate is off by a fifth. Node.js reads
    /// more before it prints its first line, as docs/lazy-loading.md says.
    #[test]
    fn near_what_was_measured() {
        let layer = |size, content, files, ztoc_size, spans, listed| StartupLayer {
            content: Some(content),
            files,
            ..lazy(size, ztoc_size, spans, listed)
        };
        let debian = |listed| layer(39_977_783, 109_202_944, 5018, 1_728_816, 26, listed);
        let python = StartupLayer { size: 6_608_554, ..StartupLayer::default() };
        // Seconds: unpacked started; lazily started, ready; with the list the same; the program's own work.
        for (layers, measured, own) in [
            (
                [
                    debian(10),
                    layer(68_049_247, 193_310_208, 329, 1_577_136, 46, 27),
                    layer(150_667_075, 240_856_576, 439, 1_998_392, 58, 27),
                ],
                [14.0, 1.8, 26.1, 4.6, 17.8],
                11.5,
            ),
            (
                [
                    debian(11),
                    python,
                    layer(356_738_028, 1_555_538_432, 24_935, 17_042_048, 360, 193),
                ],
                [47.9, 4.2, 50.4, 16.0, 35.9],
                11.0,
            ),
        ] {
            let found = startup(&layers, link(12_500_000, true));
            let Startup { unpacked, lazy, prefetched, .. } = found;
            let told = [
                unpacked.started,
                lazy.started,
                lazy.ready + own,
                prefetched.started,
                prefetched.ready + own,
            ];
            for (told, measured) in told.into_iter().zip(measured) {
                assert!((told / measured - 1.0_f64).abs() < 0.2, "{told} {measured} {found:?}");
            }
        }
    }

    /// Foreign documents may say anything.
    #[test]
    fn any_numbers_give_an_answer() {
        let odd = lazy(u64::MAX / 200, u64::MAX, 1, 0);
        let none = LazyLayer { listed: u64::MAX, listed_bytes: u64::MAX, ..LazyLayer::default() };
        let none = StartupLayer { lazy: Some(none), ..StartupLayer::default() };
        let slow = Link { connections: NonZeroU64::MAX, ..link(0, true) };
        for layers in [&[][..], &[odd], &[none], &[odd, none, StartupLayer::default()]] {
            for link in [slow, Link { latency: Duration::MAX, ..slow }] {
                let Startup { unpacked, lazy, prefetched, .. } = startup(layers, link);
                for at in [unpacked, lazy, prefetched] {
                    assert!(at.started.is_finite() && at.ready.is_finite(), "{at:?}");
                }
            }
        }
    }
}
