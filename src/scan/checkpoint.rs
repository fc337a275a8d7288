//! The span rule: where a gzip layer gets its checkpoints.
//!
//! Source: `ztoc/compression/gzip_zinfo.c` of the reference (`soci-formats` 3.2), with one deliberate
//! difference. The reference takes *every* candidate while no output exists, so a layer with an empty
//! first gzip member or a leading empty block gets several checkpoints with `out = 0`, which its own
//! reader refuses (span offsets must increase). Here only the first of them is taken: such zTOCs are
//! readable, and all others are the same to the byte.

/// Where inflating may have to stop.
///
/// Candidates are the position behind each member's header and the end of each block that is not its
/// member's last. All offsets are of the whole blob and its whole output, over all members.
#[derive(Clone, Debug)]
pub(crate) struct SpanRule {
    span_size: u64,
    last: Option<u64>,
}

impl SpanRule {
    /// The rule for spans of `span_size` uncompressed bytes, at least 1.
    pub(crate) fn new(span_size: u64) -> Self {
        Self { span_size, last: None }
    }

    /// Whether the candidate at uncompressed offset `out` becomes a checkpoint; remembers it if so.
    pub(crate) fn take(&mut self, out: u64) -> bool {
        let taken = match self.last {
            None => true,
            Some(last) => out - last > self.span_size,
        };
        if taken {
            self.last = Some(out);
        }
        taken
    }

    /// How many more bytes can be inflated past `out` before a candidate could be taken. Zero means
    /// that the next candidate counts, so block ends must be watched.
    pub(crate) fn quiet(&self, out: u64) -> u64 {
        match self.last {
            None => 0,
            Some(last) => (last.saturating_add(self.span_size)).saturating_sub(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SpanRule;

    #[test]
    fn strictly_more_than_a_span_apart() {
        let mut rule = SpanRule::new(100);
        let taken: Vec<u64> = [0, 0, 100, 101, 150, 201, 202, 302, 303]
            .into_iter()
            .filter(|o| rule.take(*o))
            .collect();
        assert_eq!(taken, [0, 101, 202, 303]);
    }

    #[test]
    fn quiet_until_a_candidate_can_count() {
        let mut rule = SpanRule::new(100);
        assert_eq!(rule.quiet(0), 0);
        assert!(rule.take(0));
        assert_eq!(rule.quiet(0), 100);
        assert_eq!(rule.quiet(99), 1);
        assert_eq!(rule.quiet(100), 0);
        assert_eq!(rule.quiet(1000), 0);
    }
}
