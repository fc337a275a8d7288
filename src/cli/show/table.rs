//! Columns that are as wide as their widest cell, but for cells that are unusually wide: these move only what
//! stands behind them in their own row.

use unicode_width::UnicodeWidthChar as _;

/// Widest cell that the others are padded to, in columns: a digest with its algorithm, and a few more.
const MAX_WIDTH: usize = 80;

/// Rows of cells; how a column is aligned is said once for all rows.
#[derive(Debug)]
pub(super) struct Table {
    /// For each column whether it stands at the right.
    right: &'static [bool],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(right: &'static [bool]) -> Self {
        Self { right, rows: Vec::new() }
    }

    /// Adds a row of plain texts; cells that are left out are empty.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The rows as lines, without spaces at their ends. Columns that are empty everywhere are left out.
    pub(super) fn lines(self) -> Vec<String> {
        let widths: Vec<usize> = (0..self.right.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widths = cells.map(|cell| columns(cell));
                let (usual, wide): (Vec<usize>, Vec<usize>) = widths.partition(|w| *w <= MAX_WIDTH);
                // A column of unusual cells alone is still there.
                usual.into_iter().max().unwrap_or(0).max(usize::from(!wide.is_empty()))
            })
            .collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (column, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
                let cell = row.get(column).map_or("", String::as_str);
                if !line.is_empty() {
                    line.push_str("  ");
                }
                let space = " ".repeat(width.saturating_sub(columns(cell)));
                let (before, after) =
                    if self.right[column] { (&space[..], "") } else { ("", &space[..]) };
                line.extend([before, cell, after]);
            }
            line.truncate(line.trim_end().len());
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// Columns that a text takes on a terminal, or a few more where characters are joined.
pub(in crate::cli) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn as_wide_as_needed() {
        let mut table = Table::new(&[true, false, false, true]);
        table.row(vec!["1".into(), "a".into(), String::new(), "22".into()]);
        table.row(vec!["10".into(), "größe".into()]);
        assert_eq!(table.lines(), [" 1  a      22", "10  größe"]);
        let mut table = Table::new(&[false, false]);
        table.row(vec!["世界".into(), "b".into()]);
        table.row(vec!["abcde".into(), "b".into()]);
        assert_eq!(table.lines(), ["世界   b", "abcde  b"]);
    }

    #[test]
    fn one_wide_cell_widens_no_other_row() {
        let wide = "x".repeat(1 << 17);
        let mut table = Table::new(&[false, true, false]);
        table.row(vec!["a".into(), "b".into(), "c".into()]);
        table.row(vec![wide.clone(), wide.clone(), "d".into()]);
        assert_eq!(table.lines(), ["a  b  c".to_owned(), format!("{wide}  {wide}  d")]);
    }
}
