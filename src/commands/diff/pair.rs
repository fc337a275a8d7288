//! Which things of A and B are one thing that changed: entries by name, images by platform, layers by
//! digest and place.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::commands::inspect::{Content, Entry, Inspection};

/// The images below an entry of `index.json`, under all its names.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) digest: &'a str,
    /// Platform and digest of each image.
    pub(super) images: Vec<(Option<&'a str>, &'a str)>,
}

/// The entries that lead to images which were asked for, those of one digest together.
pub(super) fn groups(inspection: &Inspection) -> Vec<Group<'_>> {
    let wanted: HashSet<String> =
        inspection.images.iter().map(|image| image.digest.to_string()).collect();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for root in &inspection.roots {
        let names = root.names.iter().map(String::as_str);
        if let Some(place) = places.get(root.digest.as_str()) {
            groups[*place].names.extend(names);
            continue;
        }
        let mut images = Vec::new();
        collect(root, &mut images);
        images.retain(|(_, digest)| wanted.contains(*digest));
        if !images.is_empty() {
            places.insert(&root.digest, groups.len());
            groups.push(Group { names: names.collect(), digest: &root.digest, images });
        }
    }
    groups
}

fn collect<'a>(entry: &'a Entry, images: &mut Vec<(Option<&'a str>, &'a str)>) {
    match &entry.content {
        Content::Image { platform } => images.push((platform.as_deref(), &entry.digest)),
        Content::Index { entries } => entries.iter().for_each(|entry| collect(entry, images)),
        _ => {}
    }
}

/// Pairs of positions: what belongs together, in the order of A, then what only B has.
pub(super) type Pairs = Vec<(Option<usize>, Option<usize>)>;

/// Pairs entries: by a common name, then by digest, and at last what is alone on both sides.
pub(super) fn pair_groups(a: &[Group<'_>], b: &[Group<'_>]) -> Pairs {
    let mut partner = vec![None; a.len()];
    let mut taken = vec![false; b.len()];
    let (mut by_name, mut by_digest) = (HashMap::new(), HashMap::new());
    for (place, group) in b.iter().enumerate() {
        by_digest.entry(group.digest).or_insert(place);
        for name in &group.names {
            by_name.entry(*name).or_insert(place);
        }
    }
    for named in [true, false] {
        for (group, partner) in a.iter().zip(&mut partner).filter(|(_, p)| p.is_none()) {
            let mut places: Vec<usize> = if named {
                group.names.iter().filter_map(|name| by_name.get(name)).copied().collect()
            } else {
                by_digest.get(group.digest).copied().into_iter().collect()
            };
            places.retain(|place| !taken[*place]);
            *partner = places.first().copied();
            if let Some(place) = *partner {
                taken[place] = true;
            }
        }
    }
    let mut rest = (0..a.len()).filter(|position| partner[*position].is_none());
    let mut others = (0..b.len()).filter(|position| !taken[*position]);
    if let (Some(only), None, Some(other), None) =
        (rest.next(), rest.next(), others.next(), others.next())
    {
        (partner[only], taken[other]) = (Some(other), true);
    }
    finish(&partner, &taken)
}

/// Pairs the images of two entries by platform, in their order.
pub(super) fn pair_images(a: &Group<'_>, b: &Group<'_>) -> Pairs {
    let mut taken = vec![false; b.images.len()];
    let mut free: HashMap<Option<&str>, VecDeque<usize>> = HashMap::new();
    for (place, (platform, _)) in b.images.iter().enumerate() {
        free.entry(*platform).or_default().push_back(place);
    }
    let mut partner = Vec::with_capacity(a.images.len());
    for (platform, _) in &a.images {
        let found = free.get_mut(platform).and_then(VecDeque::pop_front);
        if let Some(found) = found {
            taken[found] = true;
        }
        partner.push(found);
    }
    finish(&partner, &taken)
}

fn finish(partner: &[Option<usize>], taken: &[bool]) -> Pairs {
    let pairs = partner.iter().enumerate().map(|(a, b)| (Some(a), *b));
    let added = (0..taken.len()).filter(|b| !taken[*b]).map(|b| (None, Some(b)));
    pairs.chain(added).collect()
}

/// Most comparisons for the longest common sequence; longer lists are compared place by place.
const MAX_CELLS: usize = 4_000_000;

/// Pairs layers: the longest sequence that both have, and what stands between as changed, place by place.
pub(super) fn pair_layers<T: PartialEq>(a: &[T], b: &[T]) -> Pairs {
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (x, y) in common(a, b).into_iter().chain([(a.len(), b.len())]) {
        while i < x && j < y {
            pairs.push((Some(i), Some(j)));
            (i, j) = (i + 1, j + 1);
        }
        pairs.extend((i..x).map(|i| (Some(i), None)));
        pairs.extend((j..y).map(|j| (None, Some(j))));
        if x < a.len() {
            pairs.push((Some(x), Some(y)));
        }
        (i, j) = (x + 1, y + 1);
    }
    pairs
}

/// Positions of the longest common subsequence.
fn common<T: PartialEq>(a: &[T], b: &[T]) -> Vec<(usize, usize)> {
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let mut found: Vec<_> = (0..start).map(|position| (position, position)).collect();
    let (a, b) = (&a[start..], &b[start..]);
    if a.len().saturating_mul(b.len()) > MAX_CELLS {
        let same = a.iter().zip(b).enumerate().filter(|(_, (x, y))| x == y);
        found.extend(same.map(|(position, _)| (start + position, start + position)));
        return found;
    }
    let width = b.len() + 1;
    let mut lengths = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i * width + j] = if a[i] == b[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            found.push((start + i, start + j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(a: &str, b: &str) -> String {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let pairs = pair_layers(&a, &b);
        let show = |list: &[char], position: Option<usize>| position.map_or('-', |p| list[p]);
        let texts = pairs.iter().map(|(i, j)| format!("{}{}", show(&a, *i), show(&b, *j)));
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn layers() {
        for (a, b, expected) in [
            ("", "", ""),
            ("abc", "abc", "aa bb cc"),
            ("abc", "abx", "aa bb cx"),
            ("abc", "aXbc", "aa -X bb cc"),
            ("abc", "ac", "aa b- cc"),
            ("abcd", "xyd", "ax by c- dd"),
            ("", "xy", "-x -y"),
            ("aab", "ab", "aa a- bb"),
        ] {
            assert_eq!(shown(a, b), expected, "{a} {b}");
        }
        let long: Vec<u32> = (0..3000).collect();
        let other: Vec<u32> = long.iter().map(|n| n ^ 1).collect();
        assert_eq!(pair_layers(&long, &other).len(), 3000);
    }

    #[test]
    fn entries() {
        let group = |name: &'static str, digest: &'static str| Group {
            names: vec![name],
            digest,
            images: vec![(Some("linux/amd64"), digest)],
        };
        let a = [group("v1", "1"), group("v2", "2"), group("old", "3")];
        let b = [group("v2", "20"), group("v1", "10"), group("new", "30")];
        let expected = [(Some(0), Some(1)), (Some(1), Some(0)), (Some(2), Some(2))];
        assert_eq!(pair_groups(&a, &b), expected);
        let b = [group("x", "3"), group("y", "9"), group("z", "8")];
        let pairs = pair_groups(&a[2..], &b);
        assert_eq!(pairs, [(Some(0), Some(0)), (None, Some(1)), (None, Some(2))]);
    }
}
