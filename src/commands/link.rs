//! The line between a registry and a reader, and how long it takes to carry something.

use std::num::NonZeroU64;
use std::time::Duration;

/// The line between a registry and a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bytes per second, at least 1.
    pub bandwidth: u64,
    /// Whether each connection has this bandwidth, as object stores give it; otherwise all share it.
    pub each: bool,
    /// From a request to its first byte.
    pub latency: Duration,
    /// Requests at a time.
    pub connections: NonZeroU64,
}

impl Link {
    /// Requests at a time by default. The reader has one per processor and layer.
    pub const DEFAULT_CONNECTIONS: NonZeroU64 = NonZeroU64::new(2).unwrap();

    /// How long it takes to fetch `bytes` in this many `requests`: each connection waits for its share of the requests,
    /// and for its share of the bytes where it has a bandwidth of its own.
    #[must_use]
    pub fn time(&self, requests: u64, bytes: u64) -> Duration {
        const NANOS: u128 = 1_000_000_000;
        let rounds = u128::from(requests.div_ceil(self.connections.get()));
        let waiting = self.latency.as_nanos().saturating_mul(rounds);
        let lines = if self.each { self.connections.get().min(requests.max(1)) } else { 1 };
        let bandwidth = u128::from(self.bandwidth.max(1)) * u128::from(lines);
        let moving = u128::from(bytes) * NANOS / bandwidth;
        let nanos = waiting.saturating_add(moving);
        let seconds = u64::try_from(nanos / NANOS).unwrap_or(u64::MAX);
        Duration::new(seconds, (nanos % NANOS) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_requests_and_bytes() {
        let link = |bandwidth, latency, connections| Link {
            bandwidth,
            each: false,
            latency: Duration::from_millis(latency),
            connections: NonZeroU64::new(connections).expect("not 0"),
        };
        for (link, requests, bytes, expected) in [
            (link(12_500_000, 10, 2), 0, 0, 0),
            (link(12_500_000, 10, 2), 1, 12_500_000, 1_010),
            (link(12_500_000, 10, 2), 5, 25_000_000, 2_030),
            (link(1, 0, 1), 7, 3, 3_000),
            (link(1_000, 100, 1000), 1000, 0, 100),
        ] {
            assert_eq!(link.time(requests, bytes), Duration::from_millis(expected));
        }
        let each = Link { each: true, ..link(12_500_000, 10, 2) };
        for (requests, expected) in [(1, 2_010), (2, 1_010), (5, 1_030)] {
            assert_eq!(each.time(requests, 25_000_000), Duration::from_millis(expected));
        }
        let slow = Link { latency: Duration::MAX, ..link(1, 0, 1) };
        assert_eq!(slow.time(u64::MAX, u64::MAX).as_secs(), u64::MAX);
    }
}
