//! Lines below lines: a tree, drawn.

use std::fmt::Write as _;

use crate::cli::show::style::DIM;

/// A line with what hangs below it.
#[derive(Debug, Default)]
pub(super) struct Branch {
    /// May be styled.
    head: String,
    /// Lines that say more of the same; they have no twig.
    more: Vec<String>,
    children: Vec<Branch>,
}

impl Branch {
    pub(super) fn new(head: impl Into<String>) -> Self {
        Self { head: head.into(), more: Vec::new(), children: Vec::new() }
    }

    /// With a line below.
    pub(super) fn with(mut self, line: impl Into<String>) -> Self {
        self.line(line);
        self
    }

    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.more.push(line.into());
    }

    pub(super) fn child(&mut self, child: Self) {
        self.children.push(child);
    }

    /// Writes the branch and all below it.
    pub(super) fn write(&self, out: &mut String) {
        self.write_at(out, "", "");
    }

    fn write_at(&self, out: &mut String, first: &str, others: &str) {
        push(out, first, &self.head);
        let stem = if self.children.is_empty() { "   " } else { "│  " };
        for line in &self.more {
            push(out, &format!("{others}{stem}"), line);
        }
        for (position, child) in self.children.iter().enumerate() {
            let last = position + 1 == self.children.len();
            let (twig, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            child.write_at(out, &format!("{others}{twig}"), &format!("{others}{below}"));
        }
    }
}

fn push(out: &mut String, twigs: &str, line: &str) {
    if !twigs.is_empty() {
        let _ = write!(out, "{DIM}{twigs}{DIM:#}");
    }
    out.push_str(line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::Branch;

    #[test]
    fn drawn() {
        let mut leaf = Branch::new("leaf");
        leaf.line("more of it");
        let mut inner = Branch::new("inner");
        inner.line("says");
        inner.child(leaf);
        let mut root = Branch::new("root");
        root.child(inner);
        root.child(Branch::new("last"));
        let mut out = String::new();
        root.write(&mut out);
        let expected = "root\n├─ inner\n│  │  says\n│  └─ leaf\n│        more of it\n└─ last\n";
        assert_eq!(anstream::adapter::strip_str(&out).to_string(), expected);
    }
}
