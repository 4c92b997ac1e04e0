//! A table for people, under a line that says what it was measured on.

use std::fmt::Write as _;
use std::thread::available_parallelism;

/// Prints a title, the machine, and rows beneath their heads; the first column is text, the rest are figures.
pub fn print(title: &str, heads: &[&str], rows: &[Vec<String>]) {
    println!("\n{title}\n{}\n\n{}", machine(), lines(heads, rows));
}

fn lines(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[&str]| {
        cells.iter().zip(&widths).enumerate().fold(String::new(), |mut line, (column, (cell, width))| {
            // Writing to a string cannot fail.
            if column == 0 { write!(line, "{cell:width$}") } else { write!(line, "  {cell:>width$}") }
                .unwrap_or_default();
            line
        })
    };
    let rows = rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    std::iter::once(line(heads)).chain(rows).collect::<Vec<_>>().join("\n")
}

/// The processor and how many of its cores there are.
fn machine() -> String {
    let cores = available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{cores} cores, {}, load {load} at the end", name.map_or("unknown processor", |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_beneath_each_other() {
        let rows = [["idle", "1.00"], ["busy", "100.00"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(lines(&["what", "p99"], &rows), "what     p99\nidle    1.00\nbusy  100.00");
    }
}
