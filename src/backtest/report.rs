//! `report.html`: one page that needs nothing else: numbers, the curve of equity, the first fills, the parameters.

use std::fmt::{Display, Write as _};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::Summary;
use super::lane::Lane;
use super::summary::balances;
use crate::desk::time;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2126;--soft:#66707a;--line:#d8dde2;--paper:#fff;--curve:#1f6feb}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#98a2ac;--line:#333b43;--paper:#14181c;--curve:#58a6ff}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}p.soft,td.soft,figcaption{color:var(--soft)}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .9rem .2rem 0;text-align:left}\
th{border-bottom:1px solid var(--line);font-weight:600}td.n,th.n{text-align:right}\
.wide{overflow-x:auto}.cols{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:0 2rem}\
figure{margin:1rem 0}svg{width:100%;height:auto}.warn{border-left:3px solid #d29922;padding-left:.8rem}";

/// The page of a run.
pub(super) fn page(summary: &Summary, lane: &Lane) -> String {
    let mut page = Page(String::with_capacity(1 << 16));
    let title = format!("{} on {} {}", summary.strategy, summary.connector, summary.pair);
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    page.text(&title);
    page.raw("</title><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>");
    page.raw(STYLE);
    page.raw("</style></head><body>\n<h1>");
    page.text(&title);
    page.raw("</h1>\n<p class=\"soft\">");
    let started = summary.started.as_deref().unwrap_or("never");
    page.text(&format!("{started} to {}, paper trading on recorded or made data", summary.ended));
    page.raw("</p>\n");
    if summary.partial {
        page.raw("<p class=\"warn\">Stopped before the market's end: these are the results so far.</p>\n");
    }
    curve(&mut page, lane);
    numbers(&mut page, summary);
    bands(&mut page, summary);
    fills(&mut page, summary, lane);
    settings(&mut page, summary, lane);
    page.raw("</body></html>\n");
    page.0
}

/// Markup being written; text is escaped.
struct Page(String);

impl Page {
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '&' => self.raw("&amp;"),
                '"' => self.raw("&quot;"),
                other => self.0.push(other),
            }
        }
    }

    fn rows(&mut self, title: &str, rows: &[(&str, String)]) {
        self.raw("<section><h2>");
        self.text(title);
        self.raw("</h2><table>\n");
        for (name, value) in rows {
            self.raw("<tr><td class=\"soft\">");
            self.text(name);
            self.raw("</td><td class=\"n\">");
            self.text(value);
            self.raw("</td></tr>\n");
        }
        self.raw("</table></section>\n");
    }

    fn table(&mut self, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        self.raw("<div class=\"wide\"><table>\n<tr>");
        for name in header {
            self.raw("<th>");
            self.text(name);
            self.raw("</th>");
        }
        self.raw("</tr>\n");
        for row in rows {
            self.raw("<tr>");
            for cell in &row {
                self.raw("<td>");
                self.text(cell);
                self.raw("</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</table></div>\n");
    }
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4} %"))
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;

/// Equity over time. A picture: floats are good enough.
fn curve(page: &mut Page, lane: &Lane) {
    let samples = &lane.shown_samples;
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
    let value = |equity: Decimal| equity.to_f64().unwrap_or_default();
    let low = samples.iter().map(|sample| value(sample.equity)).fold(f64::MAX, f64::min);
    let high = samples.iter().map(|sample| value(sample.equity)).fold(f64::MIN, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let time = (last.at.nanos_since(first.at)).max(1) as f64;
    page.raw("<figure><svg viewBox=\"0 -10 900 280\" role=\"img\" aria-label=\"equity over time\">");
    for part in 0..=4 {
        let y = HEIGHT * f64::from(part) / 4.0;
        let _ = write!(
            page.0,
            "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\" stroke=\"var(--line)\" stroke-width=\"1\"/>"
        );
    }
    page.raw("<polyline fill=\"none\" stroke=\"var(--curve)\" stroke-width=\"1.5\" points=\"");
    for sample in samples {
        let x = WIDTH * sample.at.nanos_since(first.at) as f64 / time;
        let y = HEIGHT * (high - value(sample.equity)) / span;
        let _ = write!(page.0, "{x:.1},{y:.1} ");
    }
    page.raw("\"/></svg><figcaption>");
    page.text(&format!(
        "equity in {}: from {} to {}, between {low:.2} and {high:.2}",
        first.quote, first.equity, last.equity
    ));
    page.raw("</figcaption></figure>\n");
}

fn numbers(page: &mut Page, summary: &Summary) {
    let results = summary.results();
    let fees: Vec<String> = results.fees.iter().map(|(asset, paid)| format!("{paid} {asset}")).collect();
    page.raw("<div class=\"cols\">\n");
    page.rows(
        "Result",
        &[
            ("start value", or_dash(results.start_value)),
            ("end value", or_dash(results.end_value)),
            ("net P&L", or_dash(results.net_pnl)),
            ("return", percent(results.return_pct)),
            ("largest drawdown", percent(results.max_drawdown_pct)),
            ("Sharpe ratio", ratio(results.sharpe)),
            ("Sortino ratio", ratio(results.sortino)),
            ("profit factor", ratio(results.profit_factor)),
            ("win rate", ratio(results.win_rate)),
        ],
    );
    page.rows(
        "Trading",
        &[
            ("orders", results.orders_created.to_string()),
            ("filled whole", results.orders_filled.to_string()),
            ("cancelled", results.orders_cancelled.to_string()),
            ("refused", results.refused().replace(" refused", "")),
            ("fills", results.filled()),
            ("volume", format!("{} {}", results.volume_base, summary.amount_unit)),
            ("volume, worth", format!("{} {}", results.volume_quote, summary.quote_asset)),
            ("fees paid", if fees.is_empty() { "0".to_owned() } else { fees.join(", ") }),
            ("largest position", format!("{} {}", results.max_position, summary.amount_unit)),
            ("turnover", ratio(results.turnover)),
        ],
    );
    page.raw("</div>\n");
}

fn bands(page: &mut Page, summary: &Summary) {
    let Some(bands) = &summary.bands else { return };
    page.raw("<h2>Queue models beside each other</h2>\n<p class=\"soft\">Three independent runs on the same data. A range, not a bound.</p>\n");
    let row = |(name, results): (&&str, &super::Results)| {
        vec![
            (*name).to_owned(),
            results.fills.to_string(),
            results.volume_quote.clone(),
            or_dash(results.net_pnl),
            percent(results.return_pct),
            percent(results.max_drawdown_pct),
        ]
    };
    page.table(&["queue", "fills", "volume", "net P&L", "return", "drawdown"], bands.iter().map(row));
}

fn fills(page: &mut Page, summary: &Summary, lane: &Lane) {
    let (shown, all) = (lane.shown_fills.len() as u64, summary.results().fills);
    page.raw("<h2>Fills</h2>\n");
    if shown == 0 {
        page.raw("<p class=\"soft\">None.</p>\n");
        return;
    }
    if shown < all {
        page.raw("<p class=\"soft\">");
        page.text(&format!("The first {shown} of {all}; fills.csv has them all."));
        page.raw("</p>\n");
    }
    let row = |fill: &super::FillRow| {
        vec![
            time::fine_stamp(fill.at),
            fill.pair.to_string(),
            fill.side.name().to_owned(),
            fill.price.to_string(),
            fill.amount.to_string(),
            fill.liquidity.name().to_owned(),
            format!("{} {}", fill.fee, fill.fee_asset),
            fill.rule.name().to_owned(),
        ]
    };
    let header = ["time (UTC)", "pair", "side", "price", "amount", "liquidity", "fee", "rule"];
    page.table(&header, lane.shown_fills.iter().map(row));
}

fn settings(page: &mut Page, summary: &Summary, lane: &Lane) {
    let described = summary.described();
    let mut rows = vec![
        ("queue model", described.queue.clone()),
        ("latency", described.latency.clone()),
        ("clock", described.clock.clone()),
        ("profile", described.profile.clone()),
        ("fees from", described.fee_source.clone()),
        ("seed", described.seed.to_string()),
        ("events", summary.events.to_string()),
        ("state hash", summary.results().state_hash.clone()),
    ];
    rows.extend(described.source.iter().map(|source| ("source", source.name.clone())));
    rows.extend(described.notes.iter().map(|note| ("note", note.clone())));
    let parameters: Vec<(&str, String)> =
        summary.parameters.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    page.raw("<div class=\"cols\">\n");
    page.rows("Parameters", &parameters);
    page.rows("Simulation", &rows);
    page.raw("</div>\n<h2>Balances at the end</h2>\n");
    let row =
        |(connector, asset, amount): (String, String, Decimal)| vec![connector, asset, amount.to_string()];
    page.table(&["connector", "asset", "amount"], balances(lane).into_iter().map(row));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut page = Page(String::new());
        page.text("<a & \"b\">");
        assert_eq!(page.0, "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
