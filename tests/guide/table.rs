//! Reading the tables of a Markdown page.

/// One row under its heading: a cell for each column.
pub(crate) struct Row {
    columns: Vec<String>,
    cells: Vec<String>,
    /// Where it stands, for messages.
    pub(crate) line: usize,
}

impl Row {
    /// The cell of the column with this name; `None`: the table has no such column.
    pub(crate) fn cell(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.cells.get(at).map(String::as_str)
    }

    pub(crate) fn cells(&self) -> &[String] {
        &self.cells
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.cells.len() == self.columns.len()
    }
}

/// All rows of all tables, their headings and the lines below those left out.
pub(crate) fn rows(page: &str) -> Vec<Row> {
    let mut columns = None;
    let mut rows = Vec::new();
    for (line, text) in page.lines().enumerate() {
        if !text.starts_with('|') {
            columns = None;
        } else if let Some(columns) = &columns {
            if !text.starts_with("|---") {
                let (columns, cells) = (Vec::clone(columns), cells(text));
                rows.push(Row {
                    columns,
                    cells,
                    line: line + 1,
                });
            }
        } else {
            columns = Some(cells(text));
        }
    }
    rows
}

/// The pieces of code of a cell, in order.
pub(crate) fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Splits at each `|` but `\|`, which stands for itself.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\0");
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    line.split('|')
        .map(|cell| cell.trim().replace('\0', "|"))
        .collect()
}

#[test]
fn a_table_is_read_as_it_is_shown() {
    let rows = rows("text\n| a | b |\n|---|---|\n| `x \\| y`, `z` | |\n\n| c |\n|---|\n| 1 |\n");
    assert_eq!(rows.len(), 2);
    assert_eq!(
        code(rows[0].cell("a").unwrap()).collect::<Vec<_>>(),
        ["x | y", "z"]
    );
    assert_eq!((rows[0].cell("b"), rows[0].cell("c")), (Some(""), None));
    assert_eq!((rows[1].cell("c"), rows[1].line), (Some("1"), 8));
}
