//! What the market shows: ticker, order book, trades, rules, fees.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::order_line::unit;
use super::table::{Shape, Table, at_least, exact};
use super::{Reply, Shell, ShellError, time, usage};
use crate::connector::{Connector, OwnOrders, PriceType};
use crate::market::{Asset, Instrument, Price};

/// How many trades `trades` shows.
const TRADES_SHOWN: usize = 10;

/// Decimals that prices of an instrument are shown with: those of its tick.
pub(super) fn price_decimals(instrument: &Instrument) -> usize {
    instrument.price_decimal(instrument.rule.tick).scale() as usize
}

/// A price with the decimals of the tick.
pub(super) fn show_price(instrument: &Instrument, price: Price) -> String {
    let price = instrument.price_decimal(price);
    format!("{price:.*}", price_decimals(instrument).max(price.scale() as usize))
}

/// Numbers with as many decimals as the one that needs most.
fn aligned(numbers: &[Decimal], least: usize) -> Vec<String> {
    let scale =
        numbers.iter().map(|number| number.normalize().scale() as usize).max().unwrap_or(0).max(least);
    numbers.iter().map(|number| format!("{:.*}", scale, number.normalize())).collect()
}

impl Shell {
    pub(super) fn ticker(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let pair = match rest {
            [] => None,
            [pair] => Some(*pair),
            _ => return Err(usage("ticker")),
        };
        let (_, instrument) = self.instrument(pair)?;
        let connector = &self.opened()?.connector;
        let price = |kind| connector.get_price_by_type(&instrument.pair, kind);
        let (bid, ask) = (price(PriceType::BestBid)?, price(PriceType::BestAsk)?);
        let (mid, last) = (price(PriceType::MidPrice)?, price(PriceType::LastTrade)?);
        let decimals = u32::try_from(price_decimals(&instrument)).unwrap_or_default();
        let show =
            |price: Option<Decimal>| price.map_or_else(|| "-".to_owned(), |price| at_least(price, decimals));
        let mut table = Table::new(["Best Bid", "Best Ask", "Mid Price", "Last Trade"]);
        table.row([show(bid), show(ask), show(mid), show(last)]);
        let text =
            format!("   Market: {} {}\n{}", connector.name(), instrument.pair, table.draw(Shape::Grid, 0));
        Ok(Reply::new(
            text,
            json!({"pair": instrument.pair, "best_bid": bid, "best_ask": ask, "mid_price": mid, "last_trade": last}),
        ))
    }

    pub(super) fn order_book(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let (mut pair, mut lines) = (None, 5_usize);
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match *word {
                "--lines" | "-n" => {
                    let count = words.next().and_then(|count| count.parse().ok()).filter(|count| *count > 0);
                    lines = count
                        .ok_or_else(|| ShellError("--lines needs a number, as in --lines 10".to_owned()))?;
                }
                flag if flag.starts_with('-') => return Err(usage("order_book")),
                word if pair.is_none() => pair = Some(word),
                _ => return Err(usage("order_book")),
            }
        }
        let (_, instrument) = self.instrument(pair)?;
        let connector = &self.opened()?.connector;
        let book = connector.get_order_book(&instrument.pair, lines, OwnOrders::With)?;
        let mut table = Table::new(["bid_price", "bid_volume", "ask_price", "ask_volume"]);
        let column = |levels: &[(Decimal, Decimal)], which: fn(&(Decimal, Decimal)) -> Decimal, least| {
            aligned(&levels.iter().map(which).collect::<Vec<_>>(), least)
        };
        let tick = price_decimals(&instrument);
        let bids = (column(&book.bids, |level| level.0, tick), column(&book.bids, |level| level.1, 0));
        let asks = (column(&book.asks, |level| level.0, tick), column(&book.asks, |level| level.1, 0));
        for row in 0..book.bids.len().max(book.asks.len()) {
            let cell = |cells: &[String]| cells.get(row).cloned().unwrap_or_default();
            table.row([cell(&bids.0), cell(&bids.1), cell(&asks.0), cell(&asks.1)]);
        }
        let text = format!(
            "market: {} {}\n{}",
            connector.name(),
            instrument.pair,
            table.draw(Shape::Plain { gap: 2 }, 1)
        );
        let levels = |levels: &[(Decimal, Decimal)]| -> Vec<[String; 2]> {
            levels.iter().map(|(price, amount)| [exact(*price), exact(*amount)]).collect()
        };
        let json = json!({"pair": instrument.pair, "bids": levels(&book.bids), "asks": levels(&book.asks)});
        Ok(Reply::new(text, json))
    }

    pub(super) fn trades(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let pair = match rest {
            [] => None,
            [pair] => Some(*pair),
            _ => return Err(usage("trades")),
        };
        let (id, instrument) = self.instrument(pair)?;
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        let mut table = Table::new(["time", "side", "price", "amount", ""]).left(&[0, 1, 4]);
        let mut rows = Vec::new();
        for print in paper.prints(id).take(TRADES_SHOWN) {
            let side = print.aggressor.map_or("-", |side| side.name());
            let amount = instrument.show_qty(print.qty).to_string();
            let by = if print.paper { "paper" } else { "" };
            table.row([&time::clock(print.at), side, &show_price(&instrument, print.price), &amount, by]);
            rows.push(json!({
                "time": print.at.to_string(), "side": print.aggressor.map(|side| side.name()),
                "price": instrument.price_decimal(print.price), "amount": instrument.qty_decimal(print.qty),
                "paper": print.paper,
            }));
        }
        let text = match table.is_empty() {
            true => format!("No public trade of {} so far.\n", instrument.pair),
            false => format!(
                "Public trades of {}, newest first:\n{}",
                instrument.pair,
                table.draw(Shape::Plain { gap: 2 }, 2)
            ),
        };
        Ok(Reply::new(text, json!({"pair": instrument.pair, "trades": rows})))
    }

    pub(super) fn rules(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let only = match rest {
            [] => None,
            [pair] => Some(self.instrument(Some(pair))?.1.pair),
            _ => return Err(usage("rules")),
        };
        let opened = self.opened()?;
        let paper = opened.connector.handle().lock();
        let mut table = Table::new([
            "Market",
            "Tick",
            "Lot",
            "Min Amount",
            "Max Amount",
            "Min Notional",
            "Unit",
            "Source",
        ]);
        let mut rows: Vec<Value> = Vec::new();
        for instrument in paper.names().instruments() {
            if only.as_ref().is_some_and(|pair| *pair != instrument.pair) {
                continue;
            }
            let rule = &instrument.rule;
            let (tick, lot) = (instrument.show_price(rule.tick), instrument.show_qty(rule.lot));
            let (least, most) = (instrument.show_qty(rule.min_qty), instrument.show_qty(rule.max_qty));
            let notional = format!("{} {}", rule.min_notional.normalize(), instrument.pair.quote);
            table.row([
                instrument.pair.to_string(),
                tick.to_string(),
                lot.to_string(),
                least.to_string(),
                most.to_string(),
                notional,
                unit(instrument),
                instrument.origin.to_string(),
            ]);
            rows.push(json!({
                "pair": instrument.pair, "tick": tick.to_string(), "lot": lot.to_string(),
                "min_amount": least.to_string(), "max_amount": most.to_string(),
                "min_notional": exact(rule.min_notional), "unit": unit(instrument), "source": instrument.origin,
            }));
        }
        Ok(Reply::new(table.draw(Shape::Grid, 0), json!({"rules": rows})))
    }

    pub(super) fn fees(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        if !rest.is_empty() {
            return Err(usage("fees"));
        }
        let opened = self.opened()?;
        let pairs = opened.connector.trading_pairs();
        let mut table = Table::new(["Market", "Maker %", "Taker %", "Buyer pays in", "Source"]);
        let mut rows = Vec::new();
        for pair in &pairs {
            let schema = opened.connector.trade_fee_schema(pair)?;
            let (source, settle) = self.fee_source(pair)?;
            let percent = |rate: Decimal| exact(rate * Decimal::ONE_HUNDRED);
            let in_base = schema.buy_percent_fee_deducted_from_returns;
            let pays_in = schema
                .percent_fee_token
                .clone()
                .or(settle)
                .unwrap_or_else(|| if in_base { pair.base.clone() } else { pair.quote.clone() });
            let (maker, taker) = (schema.maker_percent_fee_decimal, schema.taker_percent_fee_decimal);
            table.row([
                pair.to_string(),
                percent(maker),
                percent(taker),
                pays_in.to_string(),
                source.clone(),
            ]);
            rows.push(json!({
                "pair": pair, "maker_fee": exact(maker), "taker_fee": exact(taker),
                "buy_fee_asset": pays_in, "fee_source": source,
            }));
        }
        Ok(Reply::new(table.draw(Shape::Grid, 0), json!({"fees": rows})))
    }

    /// Where the fees of a pair come from, and what a contract is settled in.
    fn fee_source(&self, pair: &crate::market::Pair) -> Result<(String, Option<Asset>), ShellError> {
        let paper = self.opened()?.connector.handle().lock();
        let market = paper.names().find(pair).and_then(|(id, _)| paper.sim().market(id));
        let source = market.map(|market| market.fees.source.to_string()).unwrap_or_default();
        Ok((source, market.and_then(|market| Some(market.contract.as_ref()?.settle.clone()))))
    }
}
