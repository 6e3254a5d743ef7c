//! What the account has and what it earned: balance, status, history.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::performance::{Performance, Settled, Traded, Volume, base_share, times};
use super::table::{Shape, Table, at_least, exact, fixed, smart_round};
use super::{Reply, Shell, ShellError, time, usage, words};
use crate::connector::{Connector, PriceType, TradeType};
use crate::desk::Opened;
use crate::desk::tables::{action_of, leverage_of};
use crate::market::{Asset, Pair, Product};
use crate::order::Money;
use crate::paper::FillRow;
use crate::sim::{Cause, LedgerEntry};

/// Assets that count as one dollar.
const DOLLARS: [&str; 3] = ["USD", "USDC", "USDT"];
/// How many trades `history -v` shows at most.
const RECENT_TRADES: usize = 100;

/// The dollars of one unit of an asset, by the mid prices of the run.
fn dollars_of(opened: &Opened, asset: &Asset) -> Option<Decimal> {
    if DOLLARS.contains(&asset.as_str()) {
        return Some(Decimal::ONE);
    }
    let pairs = opened.connector.trading_pairs();
    let pair = pairs.iter().find(|pair| pair.base == *asset && DOLLARS.contains(&pair.quote.as_str()))?;
    price_now(opened, pair)
}

/// The mid price, else the last trade's.
fn price_now(opened: &Opened, pair: &Pair) -> Option<Decimal> {
    let price = |kind| opened.connector.get_price_by_type(pair, kind).ok().flatten();
    price(PriceType::MidPrice).or_else(|| price(PriceType::LastTrade))
}

/// `a` of `b` in percent, so many decimals.
fn percent(a: Decimal, b: Decimal, decimals: u32) -> String {
    let share = times(a.checked_div(b).unwrap_or_default(), Decimal::ONE_HUNDRED);
    format!("{:.*}%", decimals as usize, share.round_dp(decimals))
}

impl Shell {
    pub(super) fn balance(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        match rest {
            [] => self.balances(),
            ["paper"] => self.paper_balances(),
            ["paper", asset, amount] => {
                let number = Decimal::from_str_exact(amount).ok().filter(|amount| !amount.is_sign_negative());
                let number = number.ok_or_else(|| paper_usage(&format!("not an amount: {amount:?}")))?;
                let asset = Asset::new(asset);
                self.backstage.set_paper_balance(&asset, number)?;
                let text = format!(
                    "Paper balance for {asset} token set to {number}\n  New and fresh paper accounts start with it; \
                     the connected one keeps what it has.\n"
                );
                Ok(Reply::new(text, json!({"asset": asset, "paper_balance": number})))
            }
            _ => Err(paper_usage("Invalid command arguments")),
        }
    }

    fn paper_balances(&self) -> Result<Reply, ShellError> {
        let balances = self.backstage.paper_balances()?;
        let mut table = Table::new(["Asset", "Balance"]);
        for (asset, amount) in &balances {
            table.row([asset.to_string(), at_least(*amount, 4)]);
        }
        let text = match table.is_empty() {
            true => "You have not set any paper account balance.\n".to_owned(),
            false => format!("Paper account balances:\n{}", table.draw(Shape::Plain { gap: 1 }, 4)),
        };
        let json: BTreeMap<String, String> =
            balances.iter().map(|(asset, amount)| (asset.to_string(), exact(*amount))).collect();
        Ok(Reply::new(text, json!({"paper_balances": json})))
    }

    fn balances(&self) -> Result<Reply, ShellError> {
        let opened = self.opened()?;
        let totals = opened.connector.get_all_balances();
        let available = opened.connector.available_balances();
        let mut table = Table::new(["Asset", "Total", "Total ($)", "Allocated", "Available"]);
        let (mut worth, mut allocated_worth) = (Decimal::ZERO, Decimal::ZERO);
        let mut rows: Vec<Value> = Vec::new();
        for (asset, total) in totals.iter().filter(|(_, total)| !total.is_zero()) {
            let free = available.get(asset).copied().unwrap_or_default();
            let dollars = dollars_of(opened, asset);
            let value = dollars.map(|price| times(price, *total));
            worth += value.unwrap_or_default();
            allocated_worth += times(dollars.unwrap_or_default(), total - free);
            table.row([
                asset.to_string(),
                at_least(*total, 4),
                value.map_or_else(|| "-".to_owned(), smart_round),
                percent(total - free, *total, 0),
                at_least(free, 4),
            ]);
            rows.push(json!({
                "asset": asset, "total": exact(*total), "available": exact(free),
                "value_usd": value.map(exact),
            }));
        }
        let mut text = format!("Updating balances, please wait...\n{}:\n", opened.connector.name());
        if table.is_empty() {
            text.push_str("You have no balance on this exchange.\n");
        } else {
            text.push_str(&table.draw(Shape::Plain { gap: 1 }, 4));
            text.push_str(&format!("\n  Total: $ {}\n", smart_round(worth)));
            text.push_str(&format!("Allocated: {}\n", percent(allocated_worth, worth, 2)));
            text.push_str(&format!("\n{}{}\n", super::beside::EXCHANGES_TOTAL, fixed(worth, 0)));
        }
        Ok(Reply::new(
            text,
            json!({"connector": opened.connector.name(), "account": opened.about.account, "balances": rows, "total_usd": exact(worth)}),
        ))
    }

    pub(super) fn status(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        if !rest.is_empty() {
            return Err(usage("status"));
        }
        let opened = self.opened()?;
        let mut text =
            "  Paper Trading Active: All orders are simulated, and no real orders are placed.\n\n".to_owned();
        text.push_str(&self.session_lines(opened));
        text.push_str(&super::live::lines(opened));
        text.push_str("\n  Markets:\n");
        text.push_str(&market_table(opened).draw(Shape::Plain { gap: 1 }, 4));
        text.push_str("\n  Balances:\n");
        let available = opened.connector.available_balances();
        let mut table = Table::new(["Exchange", "Asset", "Total Balance", "Available Balance"]);
        for (asset, total) in opened.connector.get_all_balances() {
            let free = available.get(&asset).copied().unwrap_or_default();
            if !total.is_zero() {
                table.row([opened.connector.name(), asset.as_str(), &at_least(total, 4), &at_least(free, 4)]);
            }
        }
        text.push_str(&table.draw(Shape::Plain { gap: 1 }, 4));
        let (positions, position_rows) = self.position_table()?;
        if !positions.is_empty() {
            text.push_str(&format!("\n  Positions:\n{}", positions.draw(Shape::Plain { gap: 2 }, 4)));
        }
        let (orders, rows) = self.open_order_table()?;
        match orders.is_empty() {
            true => text.push_str("\n  No active maker orders.\n"),
            false => text.push_str(&format!("\n  Orders:\n{}", orders.draw(Shape::Plain { gap: 1 }, 4))),
        }
        let (lines, strategy) = self.strategy_lines()?;
        text.push_str(&lines);
        let paper = opened.connector.handle().lock();
        let json = json!({
            "connector": opened.connector.name(), "account": opened.about.account, "source": opened.about.source,
            "strategy": strategy, "positions": position_rows,
            "time": paper.now().to_string(), "messages": paper.messages(), "at_end": paper.at_end(),
            "settings": opened.about.settings.iter().map(|(key, value)| json!([key, value])).collect::<Vec<_>>(),
            "orders": rows, "feed": paper.feed_stats(),
        });
        drop(paper);
        let json = super::live::add_to(json, opened);
        Ok(Reply::new(text, json))
    }

    fn session_lines(&self, opened: &Opened) -> String {
        let paper = opened.connector.handle().lock();
        let about = &opened.about;
        let end = if paper.at_end() { ", end of tape" } else { "" };
        let mut lines = vec![
            ("market", about.source.clone()),
            (
                "time",
                format!("{} ({}{end})", time::stamp(paper.now()), words::count(paper.messages(), "message")),
            ),
            ("account", format!("{}{}", about.account, if about.kept { "" } else { " (not kept)" })),
        ];
        lines.extend(about.settings.iter().cloned());
        if let (Some(pacer), None) = (&self.pacer, &about.live) {
            let paused = if pacer.is_paused() { ", paused" } else { "" };
            lines.push(("speed", format!("{}{paused}", pacer.pace())));
        }
        lines.iter().map(|(key, value)| format!("  {key:<9} {value}\n")).collect()
    }

    pub(super) fn history(&self, rest: &[&str]) -> Result<Reply, ShellError> {
        let (mut verbose, mut precision) = (false, None);
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match *word {
                "-v" | "--verbose" => verbose = true,
                "-p" | "--precision" => {
                    let digits = words.next().and_then(|digits| digits.parse::<u32>().ok());
                    precision = Some(digits.filter(|digits| *digits <= 28).ok_or_else(|| usage("history"))?);
                }
                _ => return Err(usage("history")),
            }
        }
        let opened = self.opened()?;
        let (fills, started, now) = {
            let paper = opened.connector.handle().lock();
            let fills =
                paper.trader(opened.connector.session()).map(|t| t.fills().to_vec()).unwrap_or_default();
            (fills, paper.started(), paper.now())
        };
        let mut text = format!(
            "Start Time: {}\nCurrent Time: {}\nDuration: {}\n",
            time::stamp(started),
            time::stamp(now),
            time::days(now.nanos_since(started))
        );
        let mut rows = Vec::new();
        for pair in opened.connector.trading_pairs() {
            let trades = trades_of(opened, &pair, &fills);
            let balance = |asset| opened.connector.get_balance(asset);
            let last = trades.last().map(|trade| trade.price);
            let price = price_now(opened, &pair).or(last).unwrap_or_default();
            let report = match settled(opened, &pair, &fills) {
                Some(settled) => Performance::of_contract(&settled, &trades, price),
                None => Performance::of(&pair, &trades, balance(&pair.base), balance(&pair.quote), price),
            };
            let Some(report) = report else { continue };
            let show = |value: Decimal| match precision {
                Some(decimals) => fixed(value.round_dp(decimals), decimals),
                None => true_round(value),
            };
            text.push_str(&format!("\n{} / {pair}\n\n", opened.connector.name()));
            text.push_str(&tables(&pair, &report, precision, &show));
            rows.push(to_json(&pair, &report));
        }
        if rows.is_empty() {
            text.push_str("\n  No past trades to report.\n");
        } else if rows.len() > 1 {
            text.push_str(&format!("\nAveraged Return = {}%\n", average_return(&rows)));
        }
        if verbose && !fills.is_empty() {
            text.push_str("\n  Recent trades:\n");
            text.push_str(&recent(opened, &fills).draw(Shape::Grid, 4));
        }
        let json = json!({"started": started.to_string(), "now": now.to_string(), "pairs": rows});
        Ok(Reply::new(text, json))
    }
}

/// Smart rounding, but never to nothing: a value that it would cut to zero is shown as it is.
fn true_round(value: Decimal) -> String {
    let rounded = smart_round(value);
    if rounded == "0" && !value.is_zero() { exact(value) } else { rounded }
}

fn paper_usage(what: &str) -> ShellError {
    ShellError(format!(
        "{what}; to set a paper account balance: balance paper [ASSET] [AMOUNT], e.g. balance paper BTC 0.1"
    ))
}

fn market_table(opened: &Opened) -> Table {
    let mut table = Table::new(["Exchange", "Market", "Best Bid Price", "Best Ask Price", "Mid Price"]);
    for pair in opened.connector.trading_pairs() {
        let price = |kind| {
            let price = opened.connector.get_price_by_type(&pair, kind).ok().flatten();
            price.map_or_else(|| "-".to_owned(), exact)
        };
        table.row([
            opened.connector.name().to_owned(),
            pair.to_string(),
            price(PriceType::BestBid),
            price(PriceType::BestAsk),
            price(PriceType::MidPrice),
        ]);
    }
    table
}

/// What the fills of an order in a contract are worth, and what closing gained; `None` on spot.
pub(super) fn worth_line(opened: &Opened, fills: &[FillRow]) -> Option<String> {
    let paper = opened.connector.handle().lock();
    let names = paper.names();
    let moved: Vec<_> = fills.iter().filter_map(|row| row.fill.position.as_ref()).collect();
    let settle = moved.first()?.settle;
    let sum = |of: fn(&crate::sim::PositionFill) -> crate::order::Money| {
        exact(names.decimal(settle, moved.iter().map(|position| of(position)).sum()))
    };
    let asset = names.asset(settle)?;
    let mut text = format!("worth {} {asset}", sum(|position| position.value));
    if moved.iter().any(|position| !position.closed.is_zero()) {
        text += &format!(", gained {} {asset}", sum(|position| position.realised));
    }
    Some(text)
}

/// The fills of a pair as performance counts them: contracts as the base that they stand for.
fn trades_of(opened: &Opened, pair: &Pair, fills: &[FillRow]) -> Vec<Traded> {
    let paper = opened.connector.handle().lock();
    let names = paper.names();
    let Some((id, instrument)) = names.find(pair) else { return Vec::new() };
    let of_pair = fills.iter().map(|row| &row.fill).filter(|fill| fill.instrument == id);
    let traded = of_pair.map(|fill| {
        let (price, qty) = (instrument.price_decimal(fill.price), instrument.qty_decimal(fill.qty));
        let (base, quote) = match instrument.product {
            Product::Spot => (qty, names.quote_decimal(id, fill.quote)),
            Product::Inverse { multiplier } => {
                (instrument.base_from_qty(qty, price).unwrap_or_default(), times(qty, multiplier))
            }
            Product::Linear { .. } | Product::Quanto { .. } => {
                let base = instrument.base_from_qty(qty, price).unwrap_or_default();
                (base, times(base, price))
            }
        };
        Traded {
            side: TradeType::from(fill.side),
            price,
            base,
            quote,
            fee: names.decimal(fill.fee_asset, fill.fee),
            fee_asset: names.asset(fill.fee_asset).cloned().unwrap_or_else(|| pair.quote.clone()),
        }
    });
    traded.collect()
}

/// What the account says of a contract; `None` on spot.
fn settled(opened: &Opened, pair: &Pair, fills: &[FillRow]) -> Option<Settled> {
    let session = opened.connector.session();
    let paper = opened.connector.handle().lock();
    let names = paper.names();
    let (id, _) = names.find(pair)?;
    let settle = names.asset_index(&paper.sim().market(id)?.contract.as_ref()?.settle)?;
    let of_pair = fills.iter().filter(|row| row.fill.instrument == id);
    let realised = of_pair.filter_map(|row| Some(row.fill.position.as_ref()?.realised)).sum();
    let positions = paper.positions(session);
    let unrealised = positions.iter().filter(|state| state.instrument == id).map(|state| state.unrealised);
    let rows = paper.trader(session).map(|trader| trader.ledger()).unwrap_or_default();
    let paid = |entry: &&LedgerEntry| entry.cause == Cause::Funding && entry.instrument == Some(id);
    let funding = rows.iter().map(|(_, entry)| entry).filter(paid).map(|entry| entry.amount).sum();
    let amounts = [realised, unrealised.sum(), funding].map(|amount: Money| names.decimal(settle, amount));
    let asset = names.asset(settle)?.clone();
    drop(paper);
    let ([realised, unrealised, funding], balance) = (amounts, opened.connector.get_balance(&asset));
    Some(Settled { asset, balance, realised, unrealised, funding })
}

fn recent(opened: &Opened, fills: &[FillRow]) -> Table {
    let paper = opened.connector.handle().lock();
    let mut table = Table::new([
        "Timestamp",
        "Exchange",
        "Market",
        "Order_type",
        "Side",
        "Price",
        "Amount",
        "Leverage",
        "Position",
        "Age",
    ]);
    for row in fills.iter().rev().take(RECENT_TRADES).rev() {
        let Some(instrument) = paper.names().instrument(row.fill.instrument) else { continue };
        table.row([
            time::stamp(row.at),
            opened.connector.name().to_owned(),
            instrument.pair.to_string(),
            row.order_type.name().to_ascii_lowercase(),
            row.fill.side.name().to_owned(),
            exact(instrument.price_decimal(row.fill.price)),
            exact(instrument.qty_decimal(row.fill.qty)),
            leverage_of(paper.sim(), &row.fill),
            action_of(&row.fill).to_ascii_uppercase(),
            time::age(row.at.nanos_since(row.order_created)),
        ]);
    }
    table
}

/// Money of the Performance block: exact, at least two decimals, at most eight.
fn money(value: Decimal, precision: Option<u32>) -> String {
    match precision {
        Some(decimals) => fixed(value.round_dp(decimals), decimals),
        None => at_least(value.round_dp(8), 2),
    }
}

/// The three tables of a pair.
fn tables(
    pair: &Pair,
    report: &Performance,
    precision: Option<u32>,
    show: &dyn Fn(Decimal) -> String,
) -> String {
    let mut trades =
        Table::new(["".to_owned(), "  buy".into(), "  sell".into(), "  total".into()]).left(&[0]);
    let volumes = [&report.buys, &report.sells, &report.total];
    let line = |label: String, cell: &dyn Fn(&Volume) -> String| {
        [format!("{label:<27}"), cell(volumes[0]), cell(volumes[1]), cell(volumes[2])]
    };
    trades.row(line("Number of trades".into(), &|volume| volume.count.to_string()));
    trades.row(line(format!("Total trade volume ({})", pair.base), &|volume| show(volume.base)));
    trades.row(line(format!("Total trade volume ({})", pair.quote), &|volume| show(volume.quote)));
    trades.row(line("Avg price".into(), &|volume| show(volume.average().unwrap_or_default())));

    let mut assets =
        Table::new(["".to_owned(), "start".into(), "current".into(), "change".into()]).left(&[0]);
    let change = |(before, now): (Decimal, Decimal)| [show(before), show(now), show(now - before)];
    let none = || ["-", "-", "-"].map(str::to_owned);
    let row = |label: String, [a, b, c]: [String; 3]| [format!("{label:<17}"), a, b, c];
    if report.base.is_some() || report.money != pair.base {
        assets.row(row(pair.base.to_string(), report.base.map_or_else(none, change)));
    }
    assets.row(row(report.money.to_string(), change(report.cash)));
    assets.row(row(format!("{pair} price"), change(report.price)));
    let in_percent = |value: Decimal| format!("{:.2}%", value.round_dp(2));
    let shares = |base: (Decimal, Decimal)| {
        let before = base_share(base.0, report.cash.0, report.price.0);
        let now = base_share(base.1, report.cash.1, report.price.1);
        [before, now, now - before].map(in_percent)
    };
    assets.row(row("Base asset %".into(), report.base.map_or_else(none, shares)));

    let asset = &report.money;
    let in_money = |value: Decimal| format!("{} {asset}", money(value, precision));
    let mut lines = vec![
        ("Hold portfolio value", format!("{} {asset}", show(report.hold_value))),
        ("Current portfolio value", format!("{} {asset}", show(report.current_value))),
        ("Trade P&L", in_money(report.trade_pnl)),
    ];
    for (asset, fee) in &report.fees {
        lines.push(("Fees paid", format!("{} {asset}", money(*fee, precision))));
    }
    if let Some(funding) = report.funding {
        lines.push(("Funding", in_money(funding)));
    }
    lines.push(("Total P&L", in_money(report.total_pnl)));
    lines.push(("Return %", in_percent(report.return_pct)));
    let width = lines.iter().map(|(_, value)| value.chars().count()).max().unwrap_or(0);
    let lines: String =
        lines.iter().map(|(label, value)| format!("    {label:<24} {value:>width$}\n")).collect();
    format!(
        "  Trades:\n{}\n  Assets:\n{}\n  Performance:\n{lines}",
        trades.draw(Shape::Plain { gap: 1 }, 4),
        assets.draw(Shape::Plain { gap: 1 }, 4),
    )
}

fn to_json(pair: &Pair, report: &Performance) -> Value {
    let volume = |volume: &Volume| {
        json!({
            "count": volume.count, "base": exact(volume.base), "quote": exact(volume.quote),
            "avg_price": volume.average().map(exact),
        })
    };
    let fees: BTreeMap<String, String> =
        report.fees.iter().map(|(asset, fee)| (asset.to_string(), exact(*fee))).collect();
    json!({
        "pair": pair, "buys": volume(&report.buys), "sells": volume(&report.sells), "total": volume(&report.total),
        "asset": report.money,
        "start_base": report.base.map(|base| exact(base.0)), "current_base": report.base.map(|base| exact(base.1)),
        "start_quote": exact(report.cash.0), "current_quote": exact(report.cash.1),
        "start_price": exact(report.price.0), "current_price": exact(report.price.1),
        "hold_value": exact(report.hold_value), "current_value": exact(report.current_value),
        "trade_pnl": exact(report.trade_pnl), "fees": fees, "fees_in_quote": exact(report.fees_in_money), "funding": report.funding.map(exact),
        "total_pnl": exact(report.total_pnl), "return_pct": exact(report.return_pct.round_dp(12)),
    })
}

fn average_return(rows: &[Value]) -> String {
    let returns: Vec<Decimal> =
        rows.iter().filter_map(|row| row["return_pct"].as_str()?.parse().ok()).collect();
    let sum: Decimal = returns.iter().sum();
    let average = sum.checked_div(Decimal::from(returns.len())).unwrap_or_default();
    format!("{:.2}", average.round_dp(2))
}

/// What a set of fills cost, by asset, as a line.
pub(super) fn fees_line(opened: &Opened, fills: &[FillRow]) -> String {
    let paper = opened.connector.handle().lock();
    let mut by_asset: BTreeMap<Asset, Decimal> = BTreeMap::new();
    for row in fills {
        if let Some(asset) = paper.names().asset(row.fill.fee_asset) {
            *by_asset.entry(asset.clone()).or_default() +=
                paper.names().decimal(row.fill.fee_asset, row.fill.fee);
        }
    }
    words::amounts(&by_asset)
}
