//! `papertape connectors`: every connector with its exchange, products, fees and status.

use std::error::Error;
use std::io::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use crate::venue::connectors::{CONNECTORS, Connector, FEE_SOURCE};

/// List every connector: name, exchange, products, mode, order types, position modes, fees and status
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Prints the table, or one JSON document.
pub fn run(_: &Args, out: &mut dyn Write, json: bool) -> Result<(), Box<dyn Error>> {
    if json {
        let all: Vec<_> = CONNECTORS.iter().map(Connector::to_json).collect();
        writeln!(out, "{}", json!({ "connectors": all }))?;
    } else {
        writeln!(out, "{}", table())?;
        writeln!(out, "Fees: {FEE_SOURCE}; --fees, a tape's own rows and an account's tier come before it.")?;
    }
    Ok(())
}

fn table() -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "name",
        "exchange",
        "products",
        "mode",
        "order types",
        "position modes",
        "maker",
        "taker",
        "status",
    ]);
    for connector in CONNECTORS {
        table.add_row([
            connector.name.to_owned(),
            connector.exchange.to_owned(),
            connector.products.join(", "),
            connector.mode.name().to_owned(),
            connector.order_types.join(", "),
            if connector.position_modes.is_empty() {
                "-".to_owned()
            } else {
                connector.position_modes.join(", ")
            },
            connector.maker.to_decimal().to_string(),
            connector.taker.to_decimal().to_string(),
            connector.status.name().to_owned(),
        ]);
    }
    for column in table.column_iter_mut() {
        let right = matches!(column.index, 6 | 7);
        column.set_cell_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: bool) -> String {
        let mut out = Vec::new();
        run(&Args {}, &mut out, json).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_has_the_fields_of_the_contract() {
        let document: serde_json::Value = serde_json::from_str(&printed(true)).unwrap();
        let all = document["connectors"].as_array().unwrap();
        assert_eq!(all.len(), 11);
        let bitmart = all.iter().find(|one| one["name"] == "bitmart_paper_trade").unwrap();
        let want = json!({
            "name": "bitmart_paper_trade", "exchange": "bitmart", "products": ["spot"], "mode": "paper",
            "order_types": ["limit", "limit_maker", "market"], "position_modes": [], "maker_fee": "0.0025",
            "taker_fee": "0.0025", "fee_source": "built-in table", "status": "ready",
        });
        assert_eq!(*bitmart, want);
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let text = printed(false);
        assert_eq!(text.lines().count(), 13);
        let line = text.lines().find(|line| line.starts_with("bitmart_paper_trade ")).unwrap();
        assert!(line.ends_with("ready") && line.contains("0.0025"), "{line}");
    }
}
