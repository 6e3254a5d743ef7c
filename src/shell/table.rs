//! The two shapes of tables that the shell prints, as Hummingbot does, and its rounding.

use rust_decimal::Decimal;

/// How a table is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// With lines, as `psql` draws: numbers to the right, words to the left.
    Grid,
    /// Columns to the right, so many blanks between them.
    Plain {
        /// Blanks between columns.
        gap: usize,
    },
}

/// Rows under a header.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    left: Vec<usize>,
}

impl Table {
    /// An empty table under these titles.
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new(), left: Vec::new() }
    }

    /// Columns that stand to the left in a plain table.
    #[must_use]
    pub fn left(mut self, columns: &[usize]) -> Self {
        self.left.extend_from_slice(columns);
        self
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Draws it, each line indented by so many blanks and ended.
    pub fn draw(&self, shape: Shape, indent: usize) -> String {
        match shape {
            Shape::Grid => self.grid(indent),
            Shape::Plain { gap } => self.plain(gap, indent),
        }
    }

    fn widths(&self, padding: usize) -> Vec<usize> {
        let of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.header[column].chars().count() + padding]).max().unwrap_or(0)
        };
        (0..self.header.len()).map(of).collect()
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells =
            self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| cell == "-" || cell.parse::<Decimal>().is_ok())
    }

    fn grid(&self, indent: usize) -> String {
        // `psql` leaves room for two more characters in each header.
        let widths = self.widths(2);
        let right: Vec<bool> = (0..widths.len()).map(|column| self.is_numeric(column)).collect();
        let rule = |joint: char, end: char| {
            let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            format!("{:indent$}{end}{}{end}\n", "", dashes.join(&joint.to_string()))
        };
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).zip(&right).map(|((cell, width), right)| match right {
                true => format!(" {cell:>width$} "),
                false => format!(" {cell:<width$} "),
            });
            format!("{:indent$}|{}|\n", "", cells.collect::<Vec<_>>().join("|"))
        };
        let mut text = rule('+', '+') + &line(&self.header) + &rule('+', '|');
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text + &rule('+', '+')
    }

    fn plain(&self, gap: usize, indent: usize) -> String {
        let widths = self.widths(0);
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if self.left.contains(&column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let joined = cells.collect::<Vec<_>>().join(&" ".repeat(gap));
            format!("{:indent$}{}\n", "", joined.trim_end())
        };
        let rows = self.rows.iter().map(|row| line(row));
        std::iter::once(line(&self.header)).chain(rows).collect()
    }
}

/// Hummingbot's smart rounding: cut towards zero at a step that fits the magnitude; values exactly on a bound are cut
/// to whole numbers.
pub fn smart_round(value: Decimal) -> String {
    let size = value.abs();
    let between = |low: Decimal, high: Decimal| size > low && size < high;
    let bound = |decimals: u32| Decimal::new(1, decimals);
    let decimals = if between(Decimal::ONE_HUNDRED, Decimal::from(10_000)) {
        1
    } else if between(Decimal::ONE, Decimal::ONE_HUNDRED) {
        2
    } else if between(bound(2), Decimal::ONE) {
        4
    } else if between(bound(4), bound(2)) {
        5
    } else if between(Decimal::ZERO, bound(4)) {
        8
    } else {
        0
    };
    fixed(value, decimals)
}

/// The value cut towards zero at so many decimals, all of them shown.
pub fn fixed(value: Decimal, decimals: u32) -> String {
    let cut = value.trunc_with_scale(decimals);
    let cut = if cut.is_zero() { Decimal::ZERO } else { cut };
    format!("{cut:.*}", decimals as usize)
}

/// The exact value with at least so many decimals.
pub fn at_least(value: Decimal, decimals: u32) -> String {
    let value = value.normalize();
    format!("{value:.*}", value.scale().max(decimals) as usize)
}

/// The exact value without trailing zeros.
pub fn exact(value: Decimal) -> String {
    value.normalize().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_grid_looks_like_psql() {
        let mut table = Table::new(["Best Bid", "Best Ask", "Mid Price", "Last Trade"]);
        table.row(["2500.1", "2500.3", "2500.2", "2500.25"]);
        insta::assert_snapshot!(table.draw(Shape::Grid, 0), @r"
        +------------+------------+-------------+--------------+
        |   Best Bid |   Best Ask |   Mid Price |   Last Trade |
        |------------+------------+-------------+--------------|
        |     2500.1 |     2500.3 |      2500.2 |      2500.25 |
        +------------+------------+-------------+--------------+
        ");
        let mut table = Table::new(["Exchange", "  Keys Added"]);
        table.row(["bitmart_perpetual", "No"]);
        insta::assert_snapshot!(table.draw(Shape::Grid, 4), @r"
            +-------------------+----------------+
            | Exchange          |   Keys Added   |
            |-------------------+----------------|
            | bitmart_perpetual | No             |
            +-------------------+----------------+
        ");
    }

    #[test]
    fn a_plain_table_stands_to_the_right() {
        let mut table = Table::new(["Asset", "Total", "Total ($)", "Allocated"]);
        table.row(["BTC", "1.2500", "81250", "20%"]);
        table.row(["USDT", "1000.0000", "1000.0", "0%"]);
        insta::assert_snapshot!(table.draw(Shape::Plain { gap: 1 }, 4), @r"
            Asset     Total Total ($) Allocated
              BTC    1.2500     81250       20%
             USDT 1000.0000    1000.0        0%
        ");
    }

    #[test]
    fn smart_rounding_cuts_by_magnitude() {
        for (value, want) in [
            ("81250", "81250"),
            ("1000", "1000.0"),
            ("10000", "10000"),
            ("100", "100"),
            ("2503.725", "2503.7"),
            ("-2496.275", "-2496.2"),
            ("5", "5.00"),
            ("1", "1"),
            ("-1", "-1"),
            ("18.775", "18.77"),
            ("0.123456", "0.1234"),
            ("0.01", "0"),
            ("0.0099999", "0.00999"),
            ("0.0001", "0"),
            ("0.000012345678", "0.00001234"),
            ("0", "0"),
        ] {
            assert_eq!(smart_round(decimal(value)), want, "{value}");
        }
    }

    #[test]
    fn decimals_are_kept_where_they_say_something() {
        assert_eq!(at_least(decimal("1.25"), 4), "1.2500");
        assert_eq!(at_least(decimal("99349.9475001"), 4), "99349.9475001");
        assert_eq!(exact(decimal("1.2500")), "1.25");
        assert_eq!(fixed(decimal("-0.001"), 2), "0.00");
    }
}
