//! Reads the terminal's tables: columns by where their headings start.

use std::collections::BTreeMap;

use super::program::{Done, vitals};

/// A printed table.
#[derive(Debug)]
pub struct Table {
    /// The headings in order.
    pub columns: Vec<String>,
    rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    /// Reads the first table of a text: its first line is the headings.
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines().skip_while(|line| line.trim().is_empty());
        let heading: Vec<char> = lines.next().unwrap_or_default().chars().collect();
        // A heading starts where a letter follows two blanks (or the line's start): headings may hold one blank.
        let starts: Vec<usize> = (0..heading.len())
            .filter(|at| {
                heading[*at] != ' ' && (*at == 0 || heading[at.saturating_sub(2)..*at].iter().all(|c| *c == ' '))
            })
            .collect();
        let cut = |line: &[char], index: usize| {
            let from = starts[index].min(line.len());
            let to = starts.get(index + 1).copied().unwrap_or(line.len()).min(line.len());
            line[from..to].iter().collect::<String>().trim().to_owned()
        };
        let columns: Vec<String> = (0..starts.len()).map(|index| cut(&heading, index)).collect();
        let rows = lines
            .take_while(|line| !line.trim().is_empty())
            .map(|line| {
                let line: Vec<char> = line.chars().collect();
                columns.iter().enumerate().map(|(index, name)| (name.clone(), cut(&line, index))).collect()
            })
            .collect();
        Self { columns, rows }
    }

    /// `vitals get KIND` from a running program.
    #[track_caller]
    pub fn get(kind: &str, url: &str) -> Self {
        Self::parse(&get(&[kind], url).expect_code(0).stdout)
    }

    /// One cell of the row whose NAME is (or ends in `/`) this name.
    pub fn cell(&self, name: &str, column: &str) -> Option<String> {
        let row = self.rows.iter().find(|row| {
            row.get("NAME")
                .is_some_and(|cell| cell == name || cell.strip_suffix(name).is_some_and(|s| s.ends_with('/')))
        })?;
        row.get(column).cloned()
    }
}

/// `vitals get …` against a running program.
#[track_caller]
pub fn get(args: &[&str], url: &str) -> Done {
    vitals(["get"].iter().chain(args).chain(&["--server", url]))
}
