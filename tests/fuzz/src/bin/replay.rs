//! Replays the committed seeds and then mutates them for a bounded time, on stable Rust.
//!
//! `replay [--seconds N] [--seed N] [TARGET | FILE]...`: without names all targets; a file is given to
//! the target whose name its path holds (`artifacts/gzip/crash-…`).

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use soci_layout_fuzz::{Random, TARGETS, Target};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let (mut seconds, mut seed, mut names) = (20, None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().ok_or("--seconds N")?.parse()?,
            "--seed" => seed = Some(arguments.next().ok_or("--seed N")?.parse()?),
            _ => names.push(argument),
        }
    }
    let seed = match seed {
        Some(seed) => seed,
        None => std::time::UNIX_EPOCH.elapsed()?.as_secs(),
    };
    let mut out = std::io::stdout();
    let (files, names): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| Path::new(name).is_file());
    for file in &files {
        let target = TARGETS.iter().find(|target| file.contains(target.name));
        (target.ok_or("no target's name in the path")?.check)(&std::fs::read(file)?);
        writeln!(out, "{file}: holds")?;
    }
    if !files.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| names.is_empty() || names.iter().any(|name| name == target.name))
        .collect();
    let share = Duration::from_secs(seconds) / wanted.len().max(1) as u32;
    let mut sound = true;
    for target in wanted {
        let seeds = target.seeds()?;
        let words = target.words();
        let mut random = Random::new(seed);
        let begin = Instant::now();
        let mut runs = 0_u64;
        let mut inputs = seeds.iter().map(|(_, bytes)| bytes.clone());
        // Mutations build on each other for a while, then begin anew from a seed.
        let mut current = Vec::new();
        loop {
            let input = inputs.next().unwrap_or_else(|| {
                if random.below(8) == 0 || current.is_empty() {
                    current.clone_from(&seeds[random.below(seeds.len())].1);
                }
                let other = &seeds[random.below(seeds.len())].1;
                random.mutate(&mut current, other, &words);
                current.clone()
            });
            if runs >= seeds.len() as u64 && begin.elapsed() >= share {
                break;
            }
            runs += 1;
            if catch_unwind(AssertUnwindSafe(|| (target.check)(&input))).is_err() {
                let path = format!("crash-{}-{seed}-{runs}", target.name);
                std::fs::write(&path, &input)?;
                writeln!(out, "{}: FAILED, input written to {path}", target.name)?;
                sound = false;
                break;
            }
        }
        writeln!(
            out,
            "{}: {} seeds, {runs} inputs in {:.1} s, seed {seed}",
            target.name,
            seeds.len(),
            begin.elapsed().as_secs_f64()
        )?;
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
