//! Markdown tables whose columns line up in the file, too.

/// Rows of cells under a head.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&str; N]) -> Self {
        Self {
            rows: vec![head.map(str::to_owned)],
        }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    pub(super) fn text(&self) -> String {
        let width = |column: usize| {
            let widths = self.rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                let blank = width - cell.chars().count();
                text.push_str("| ");
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', blank + 1));
            }
            text.push_str("|\n");
            if number == 0 {
                for width in widths {
                    text.push_str("|-");
                    text.extend(std::iter::repeat_n('-', width + 1));
                }
                text.push_str("|\n");
            }
        }
        text
    }
}
