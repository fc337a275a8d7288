//! When pieces of work would begin and end that share processors, or transfers that share a line.

/// A piece of work, in seconds that it takes alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Of a layer, finding block ends and headers.
    pub(super) walk: f64,
    /// Of a layer, reading and hashing.
    pub(super) hash: f64,
}

/// Begin and end of each piece of work, in seconds. `jobs` pieces run at a time, in their order; with
/// `two_threads` each walks and hashes on threads of its own. Processors are shared fairly.
pub(super) fn play(
    work: &[Work],
    jobs: usize,
    processors: usize,
    two_threads: bool,
) -> Vec<(f64, f64)> {
    let mut times = vec![(0.0, 0.0); work.len()];
    // What runs, with the part of it that is left.
    let mut running: Vec<(usize, f64)> = Vec::new();
    let (mut next, mut now) = (0, 0.0);
    loop {
        while running.len() < jobs.max(1) && next < work.len() {
            times[next].0 = now;
            running.push((next, 1.0));
            next += 1;
        }
        if running.is_empty() {
            return times;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few threads")]
        let share = processors as f64 / running.len() as f64;
        // Parts a second.
        let rate = |position: usize| {
            let Work { walk, hash } = work[position];
            let alone = if two_threads { walk.max(hash) } else { walk + hash };
            1.0 / alone.max((walk + hash) / share).max(1e-9)
        };
        let ends = running.iter().map(|(position, left)| left / rate(*position));
        let step = ends.fold(f64::INFINITY, f64::min);
        now += step;
        for (position, left) in &mut running {
            *left -= step * rate(*position);
            if *left < 1e-9 {
                times[*position].1 = now;
            }
        }
        running.retain(|(_, left)| *left >= 1e-9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(work: &[(f64, f64)], jobs: usize, processors: usize) -> Vec<(f64, f64)> {
        let work: Vec<_> =
            work.iter().map(|(walk, hash)| Work { walk: *walk, hash: *hash }).collect();
        let round = |time: f64| (time * 1000.0).round() / 1000.0;
        let times = play(&work, jobs, processors, jobs > 1);
        times.into_iter().map(|(start, end)| (round(start), round(end))).collect()
    }

    #[test]
    fn played_through() {
        assert_eq!(ends(&[], 2, 2), []);
        // Alone: one thread after the other, or both at once.
        assert_eq!(ends(&[(2.0, 1.0)], 1, 8), [(0.0, 3.0)]);
        assert_eq!(ends(&[(2.0, 1.0)], 2, 8), [(0.0, 2.0)]);
        // Two share two processors; when the short one is done the other has both.
        assert_eq!(ends(&[(2.0, 1.0), (1.0, 0.5)], 2, 2), [(0.0, 2.5), (0.0, 1.5)]);
        // The third waits for a place.
        assert_eq!(
            ends(&[(1.0, 0.0), (1.0, 0.0), (1.0, 0.0)], 2, 2),
            [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)]
        );
        assert_eq!(ends(&[(0.0, 0.0)], 2, 2), [(0.0, 0.0)]);
    }
}
