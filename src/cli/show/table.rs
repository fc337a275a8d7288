//! Columns that are as wide as their widest cell.

use std::fmt::Write as _;

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
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (column, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
                let cell = row.get(column).map_or("", String::as_str);
                if !line.is_empty() {
                    line.push_str("  ");
                }
                let _ = if self.right[column] {
                    write!(line, "{cell:>width$}")
                } else {
                    write!(line, "{cell:<width$}")
                };
            }
            line.truncate(line.trim_end().len());
            line
        };
        self.rows.iter().map(line).collect()
    }
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
    }
}
