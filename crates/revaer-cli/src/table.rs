//! Columns of text. Pure: rows in, lines out.

/// A table under construction; every cell is already harmless text.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// One cell, with the ANSI color to show it in when colors are on.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    color: Option<&'static str>,
}

impl Cell {
    /// A cell in a color.
    pub(crate) fn colored(text: impl Into<String>, color: &'static str) -> Self {
        Self { text: text.into(), color: Some(color) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), color: None }
    }
}

impl Table {
    /// Adds a row; rows may differ in length.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Adds a row of a name and its value.
    pub(crate) fn pair(&mut self, name: &str, value: impl Into<Cell>) {
        self.row([name.into(), value.into()]);
    }

    /// The table as lines: columns two spaces apart, nothing after the last cell.
    pub(crate) fn render(&self, color: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.text.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                match cell.color.filter(|_| color) {
                    Some(code) => out.extend(["\x1b[", code, "m", &cell.text, "\x1b[0m"]),
                    None => out.push_str(&cell.text),
                }
                if column + 1 < row.len() {
                    let gap = widths[column] - cell.text.chars().count() + 2;
                    out.extend(std::iter::repeat_n(' ', gap));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_and_without_color() {
        let mut table = Table::default();
        table.row(["NAME".into(), "STATE".into()]);
        table.row(["é".into(), Cell::colored("seeding", "32")]);
        table.pair("a longer one", "x");
        assert_eq!(table.render(false), "NAME          STATE\né             seeding\na longer one  x\n");
        assert!(table.render(true).contains("\x1b[32mseeding\x1b[0m\n"));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(Table::default().render(true), "");
    }
}
