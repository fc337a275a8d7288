//! A list of images, and the part of it that is one worker's.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use soci_layout::registry::Reference;

use crate::cli::args::RUN;

/// Variables in which engines number their workers from 0: Kubernetes (Indexed Job), AWS Batch (array job).
const NUMBERS: [&str; 2] = ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];

/// The list, and which part of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Index the images of a registry that this file names, one after the other
    ///
    /// Each line is REPO:TAG, or REPO:TAG and behind a space the tag that is to lead to the result, as with --to.
    /// Lines with # in front and empty ones are passed over; - is standard input. Standard output gets one line of JSON for
    /// each image. One that fails does not keep the others from being done; the exit code is 4 then. What is done
    /// already is found in the registry, so a run that was killed goes on by being started again.
    #[arg(long, value_name = "FILE", help_heading = RUN, conflicts_with_all = ["layout", "to", "output", "force", "name", "summary"])]
    pub(crate) from_file: Option<PathBuf>,

    /// Only this part of the list: part I of N, from 0/N on
    ///
    /// With N alone, I is what the engine says in `JOB_COMPLETION_INDEX` (Kubernetes) or `AWS_BATCH_JOB_ARRAY_INDEX`. Parts are
    /// neighbours in the list, so that images which share layers stay together when they are listed together.
    #[arg(long, value_name = "I/N", help_heading = RUN, requires = "from_file")]
    pub(crate) shard: Option<Shard>,
}

/// One part of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// `None` when the engine says it.
    number: Option<usize>,
    count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or("expected I/N or N, such as 0/8 or 8")
        };
        let (first, count) = match text.split_once('/') {
            Some((first, count)) => (Some(number(first)?), number(count)?),
            None => (None, number(text)?),
        };
        match first {
            _ if count == 0 => Err("there is at least one part".to_owned()),
            Some(first) if first >= count => {
                Err(format!("parts are numbered from 0/{count} to {}/{count}", count - 1))
            }
            number => Ok(Self { number, count }),
        }
    }
}

impl Shard {
    /// Its part of a list of `length`. Parts differ by one at most. `variable` has the environment's values.
    pub(crate) fn part(
        self,
        length: usize,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Range<usize>, String> {
        let number = match self.number {
            Some(number) => number,
            None => self.said(variable)?,
        };
        let at = |number: usize| (length as u128 * number as u128 / self.count as u128) as usize;
        Ok(at(number)..at(number + 1))
    }

    /// The number that the engine says.
    fn said(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<usize, String> {
        let count = self.count;
        let found = NUMBERS.iter().find_map(|name| Some((name, variable(name)?)));
        let Some((name, text)) = found else {
            let names = NUMBERS.join(" nor ");
            return Err(format!(
                "--shard {count}: neither {names} says which part; give it: --shard 0/{count}"
            ));
        };
        let number = text.parse().ok().filter(|number| *number < count);
        number.ok_or_else(|| {
            format!("--shard {count}: {name} is {text:?}, expected a number below {count}")
        })
    }
}

/// The images of a list, each with the tag that is to lead to its result.
///
/// # Errors
/// What is wrong with a line.
pub(crate) fn images(text: &str) -> Result<Vec<(Reference, Option<Reference>)>, String> {
    let mut images = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split_whitespace();
        let (Some(first), to) = (words.next(), words.next()) else { continue };
        if first.starts_with('#') {
            continue;
        }
        let parse = |word: &str| -> Result<Reference, String> {
            word.parse().map_err(|error| format!("line {number}: {word:?} is no image: {error}"))
        };
        if let Some(more) = words.next() {
            return Err(format!(
                "line {number}: expected REPO:TAG and another one at most, found {more:?}"
            ));
        }
        images.push((parse(first)?, to.map(parse).transpose()?));
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let text = "# all\n\nr.example/a:1\n  r.example/a:2\tr.example/a:2-soci\r\n#r.example/b:1";
        let found = images(text).expect("a list");
        let found: Vec<(String, Option<String>)> = found
            .iter()
            .map(|(from, to)| (from.to_string(), to.as_ref().map(ToString::to_string)))
            .collect();
        let second = ("r.example/a:2".to_owned(), Some("r.example/a:2-soci".to_owned()));
        assert_eq!(found, [("r.example/a:1".to_owned(), None), second]);
        for (text, part) in
            [("a:1\nA:1", "line 2"), ("a:1 b:1 c:1", "c:1"), ("https://r/a:1", "scheme")]
        {
            assert!(images(text).expect_err(text).contains(part), "{text}");
        }
    }

    #[test]
    fn parts_are_the_list() {
        let none = |_: &str| None;
        for (length, count) in [(0, 3), (1, 3), (3, 3), (200, 8), (7, 2), (5, 1)] {
            let mut next = 0;
            for number in 0..count {
                let shard: Shard = format!("{number}/{count}").parse().expect("a part");
                let part = shard.part(length, &none).expect("said");
                assert_eq!(part.start, next);
                assert!(part.len() <= length.div_ceil(count), "{part:?}");
                next = part.end;
            }
            assert_eq!(next, length);
        }
        for text in ["", "/", "1/", "/2", "2/2", "0/0", "0", "-1/2", "+1/2", "1/x", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn engines_say_which_part() {
        let shard: Shard = "4".parse().expect("a count");
        for name in NUMBERS {
            let says =
                |value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
            assert_eq!(shard.part(8, &says("3")), Ok(6..8));
            for wrong in ["4", "", "x", "-1"] {
                assert!(shard.part(8, &says(wrong)).expect_err(wrong).contains(name));
            }
        }
        assert!(shard.part(8, &|_| None).expect_err("no number").contains("0/4"));
    }
}
