//! The grammar of `buy` and `sell`.
//!
//! ```text
//! buy|sell AMOUNT PAIR [at PRICE | at best[±N] | at N ticks below|above best] [limit|limit_maker|market]
//!     [gtc|ioc|fok|gtd TIME] [open|close|reduce_only] [show A] [stp none|taker|maker|both]
//!     [stop P|take_profit P|trail D|trail N% [from P] [by last|mark|index]]
//! ```
//!
//! Reading it ([`OrderLine::parse`]) needs no market; making an order of it ([`OrderLine::resolve`]) needs the
//! instrument and the best prices.

use rust_decimal::Decimal;

use crate::connector::{CallbackRate, OrderRequest, OrderType, PositionAction, Special, TradeType};
use crate::market::{Asset, Instrument, Pair, Product, Timestamp, parse_duration};
use crate::order::{SelfTrade, TimeInForce, TriggerBy, TriggerKind};

use super::ShellError;

/// How much, as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// `0.01`: in the instrument's quantity unit.
    Qty(Decimal),
    /// `0.5 XBT`: in base, down to the lot.
    Base(Decimal, Asset),
    /// `$500`: worth so much quote, down to the lot.
    Notional(Decimal),
    /// `all`: the whole position.
    All,
}

/// At which price, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `at 65000.5`.
    Price(Decimal),
    /// `at best`, `at best-2`, `at 2 ticks below best`: ticks from the own side's best price, upwards.
    Best {
        /// How many; negative: below.
        ticks: i64,
    },
}

/// Until when, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Gtc,
    Ioc,
    Fok,
    Until(Timestamp),
    For(std::time::Duration),
}

/// What it waits for, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// `stop P`, `take_profit P`.
    Price(TriggerKind, Decimal, TriggerBy),
    /// `trail D`: a stop that stays so far behind the market.
    Trail(Decimal, TriggerBy),
    /// `trail N%`: a stop that stays so much of the price behind the best price.
    Callback(CallbackRate, TriggerBy),
}

/// A line of `buy` or `sell`, read.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderLine {
    /// Buy or sell.
    pub side: TradeType,
    /// How much.
    pub amount: Amount,
    /// What.
    pub pair: Pair,
    /// At which price.
    pub at: Option<At>,
    /// How it meets the book.
    pub order_type: Option<OrderType>,
    life: Option<Life>,
    trigger: Option<Reach>,
    show: Option<Decimal>,
    self_trade: Option<SelfTrade>,
    position: Option<PositionAction>,
}

/// The best prices that an order line may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct BestPrices {
    /// The best bid.
    pub bid: Option<Decimal>,
    /// The best ask.
    pub ask: Option<Decimal>,
}

/// The words of an order line, one after another.
struct Words<'a> {
    words: std::iter::Peekable<std::slice::Iter<'a, &'a str>>,
}

impl<'a> Words<'a> {
    fn next(&mut self, wanted: &str) -> Result<&'a str, ShellError> {
        self.words.next().copied().ok_or_else(|| usage(&format!("{wanted} is missing")))
    }

    fn take(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next.eq_ignore_ascii_case(word)).is_some()
    }

    fn decimal(&mut self, wanted: &str) -> Result<Decimal, ShellError> {
        let word = self.next(wanted)?;
        decimal(word).ok_or_else(|| usage(&format!("not {wanted}: {word:?}")))
    }
}

fn usage(what: &str) -> ShellError {
    ShellError(format!("{what} (usage: buy|sell AMOUNT PAIR [at PRICE] …; see `help buy`)"))
}

fn decimal(text: &str) -> Option<Decimal> {
    // What a decimal of 96 bits cannot hold exactly is refused, not rounded.
    Decimal::from_str_exact(text).ok().or_else(|| Decimal::from_scientific(text).ok())
}

fn not_there(what: &str) -> ShellError {
    ShellError(what.to_owned())
}

impl OrderLine {
    /// Reads the words after `buy` or `sell`.
    pub fn parse(side: TradeType, words: &[&str]) -> Result<Self, ShellError> {
        let mut words = Words { words: words.iter().peekable() };
        let typed = words.next("AMOUNT")?;
        let (dollars, number) = match typed.strip_prefix('$') {
            Some(rest) => (true, rest),
            None => (false, typed),
        };
        let all = typed.eq_ignore_ascii_case("all");
        let number = if all { Some(Decimal::ZERO) } else { decimal(number) };
        let number = number.ok_or_else(|| usage(&format!("not an amount: {typed:?}")))?;
        let word = words.next("PAIR")?;
        let (asset, pair) = match word.contains('-') || dollars || all {
            true => (None, word),
            false => (Some(Asset::new(word)), words.next("PAIR")?),
        };
        let amount = match (dollars, asset) {
            _ if all => Amount::All,
            (true, _) => Amount::Notional(number),
            (false, Some(asset)) => Amount::Base(number, asset),
            (false, None) => Amount::Qty(number),
        };
        let pair = pair.parse().map_err(|error: crate::market::PairError| ShellError(error.to_string()))?;
        let mut line = Self {
            side,
            amount,
            pair,
            at: None,
            order_type: None,
            life: None,
            trigger: None,
            show: None,
            self_trade: None,
            position: None,
        };
        while let Some(word) = words.words.next() {
            line.option(&word.to_ascii_lowercase(), &mut words)?;
        }
        Ok(line)
    }

    fn option(&mut self, word: &str, words: &mut Words<'_>) -> Result<(), ShellError> {
        let twice =
            |there: bool| if there { Err(usage(&format!("{word:?} is one too many"))) } else { Ok(()) };
        match word {
            "at" => {
                twice(self.at.is_some())?;
                self.at = Some(at(words)?);
            }
            "limit" | "limit_maker" | "market" => {
                twice(self.order_type.is_some())?;
                self.order_type = Some(match word {
                    "limit" => OrderType::Limit,
                    "limit_maker" => OrderType::LimitMaker,
                    _ => OrderType::Market,
                });
            }
            "gtc" | "ioc" | "fok" | "gtd" => {
                twice(self.life.is_some())?;
                self.life = Some(life(word, words)?);
            }
            "stop" | "take_profit" => {
                twice(self.trigger.is_some())?;
                let kind = if word == "stop" { TriggerKind::Stop } else { TriggerKind::TakeProfit };
                let price = words.decimal("a price to reach")?;
                self.trigger = Some(Reach::Price(kind, price, by(words)?));
            }
            "trail" => {
                if self.trigger.is_some() {
                    return Err(usage(
                        "a trailing order moves its own trigger: leave out `stop` and `take_profit`",
                    ));
                }
                self.trigger = Some(trail(words)?);
            }
            "show" => {
                twice(self.show.is_some())?;
                self.show = Some(words.decimal("an amount to show")?);
            }
            "stp" => {
                twice(self.self_trade.is_some())?;
                self.self_trade = Some(match words.next("none, taker, maker or both")? {
                    "none" => SelfTrade::None,
                    "taker" => SelfTrade::CancelTaker,
                    "maker" => SelfTrade::CancelMaker,
                    "both" => SelfTrade::CancelBoth,
                    other => return Err(usage(&format!("not a self-trade mode: {other:?}"))),
                });
            }
            "reduce_only" | "open" | "close" => {
                twice(self.position.is_some())?;
                self.position =
                    Some(if word == "open" { PositionAction::Open } else { PositionAction::Close });
            }
            other => return Err(usage(&format!("what is {other:?}?"))),
        }
        Ok(())
    }

    /// The order that the line means now, and a sentence that says so.
    pub fn resolve(
        &self,
        instrument: &Instrument,
        best: BestPrices,
        now: Timestamp,
    ) -> Result<(OrderRequest, String), ShellError> {
        let price = self.price(instrument, best)?;
        let order_type =
            self.order_type.unwrap_or(if price.is_some() { OrderType::Limit } else { OrderType::Market });
        match (order_type, price) {
            (OrderType::Market, Some(_)) => {
                return Err(usage("a market order takes no price: leave out `at`"));
            }
            (OrderType::Limit | OrderType::LimitMaker, None) => {
                return Err(usage("a limit order needs a price: `at PRICE` or `at best`"));
            }
            _ => {}
        }
        if self.position.is_some() && instrument.product == Product::Spot {
            return Err(not_there("open, close and reduce_only are for perpetuals: spot has no position"));
        }
        self.check_special(order_type, instrument)?;
        let tif = self.time_in_force(order_type, now)?;
        let (amount, made_of) = self.quantity(instrument, price, best)?;
        let plain = Special { display: self.show, whole: self.amount == Amount::All, ..Special::default() };
        let (trigger, special) = match self.trigger {
            None => (None, plain),
            Some(Reach::Price(kind, price, by)) => (Some((kind, price, by)), plain),
            // The exchange sets the price.
            Some(Reach::Trail(distance, by)) => {
                (Some((TriggerKind::Stop, Decimal::ZERO, by)), Special { trail: Some(distance), ..plain })
            }
            Some(Reach::Callback(rate, by)) => {
                let callback = Some(rate);
                (Some((TriggerKind::TakeProfit, Decimal::ZERO, by)), Special { callback, ..plain })
            }
        };
        let request = OrderRequest {
            time_in_force: tif,
            trigger,
            special,
            self_trade: self.self_trade,
            position: self.position.unwrap_or(PositionAction::Nil),
            quantize: false,
            ..OrderRequest::new(self.side, self.pair.clone(), amount, order_type, price)
        };
        let sentence = describe(&request) + &made_of;
        Ok((request, sentence))
    }

    /// Refuses what does not go together.
    fn check_special(&self, order_type: OrderType, instrument: &Instrument) -> Result<(), ShellError> {
        let spot = instrument.product == Product::Spot;
        let by = match self.trigger {
            Some(Reach::Price(_, _, by) | Reach::Trail(_, by) | Reach::Callback(_, by)) => by,
            None => TriggerBy::Last,
        };
        if matches!(self.trigger, Some(Reach::Callback(..))) && order_type != OrderType::Market {
            return Err(usage("what trails by a share of the price is a market order: leave out `at`"));
        }
        if spot && by != TriggerBy::Last {
            return Err(not_there(&format!("by {}: spot has only a last price", by_word(by))));
        }
        if self.show.is_some() && order_type == OrderType::Market {
            return Err(usage(
                "a market order does not rest, so there is nothing to hide: give `at` with `show`",
            ));
        }
        if self.amount == Amount::All {
            if spot {
                return Err(not_there("all is a whole position, and spot has none: give an amount"));
            }
            if self.position != Some(PositionAction::Close) {
                return Err(usage("all is the whole position: add `close`"));
            }
        }
        Ok(())
    }

    fn price(&self, instrument: &Instrument, best: BestPrices) -> Result<Option<Decimal>, ShellError> {
        let ticks = match self.at {
            None => return Ok(None),
            Some(At::Price(price)) => return Ok(Some(price.normalize())),
            Some(At::Best { ticks }) => ticks,
        };
        let (own, name) = if self.side == TradeType::Buy { (best.bid, "bid") } else { (best.ask, "ask") };
        let own =
            own.ok_or_else(|| ShellError(format!("{} has no best {name} now: give a price", self.pair)))?;
        let tick = instrument.price_decimal(instrument.rule.tick);
        let moved = Decimal::from(ticks).checked_mul(tick).and_then(|by| own.checked_add(by));
        let price = moved.filter(|price| *price > Decimal::ZERO);
        let price =
            price.ok_or_else(|| ShellError(format!("best {name} {own} {ticks:+} ticks is no price")))?;
        Ok(Some(price.normalize()))
    }

    fn time_in_force(&self, order_type: OrderType, now: Timestamp) -> Result<TimeInForce, ShellError> {
        Ok(match self.life {
            None if order_type == OrderType::Market => TimeInForce::Ioc,
            Some(Life::Gtc | Life::Until(_) | Life::For(_)) if order_type == OrderType::Market => {
                return Err(usage("a market order does not rest: ioc or fok"));
            }
            None | Some(Life::Gtc) => TimeInForce::Gtc,
            Some(Life::Ioc) => TimeInForce::Ioc,
            Some(Life::Fok) => TimeInForce::Fok,
            Some(Life::Until(time)) => TimeInForce::Gtd(time),
            Some(Life::For(length)) => TimeInForce::Gtd(now.plus(length)),
        })
    }

    /// The amount in the instrument's unit, and how it was reckoned.
    fn quantity(
        &self,
        instrument: &Instrument,
        price: Option<Decimal>,
        best: BestPrices,
    ) -> Result<(Decimal, String), ShellError> {
        let unit = unit(instrument);
        match &self.amount {
            Amount::Qty(amount) => Ok((amount.normalize(), String::new())),
            // The exchange counts it.
            Amount::All => Ok((Decimal::ZERO, String::new())),
            Amount::Base(amount, asset) => {
                if *asset != instrument.pair.base {
                    let base = &instrument.pair.base;
                    return Err(usage(&format!("{asset} is not the base of {}; that is {base}", self.pair)));
                }
                let other = if self.side == TradeType::Buy { best.ask } else { best.bid };
                let at = price.or(other).unwrap_or_default();
                let qty = instrument.qty_from_base(*amount, at).ok_or_else(|| {
                    ShellError(format!("{} has no amount for {amount} {asset} now", self.pair))
                })?;
                let floored = floor(qty, instrument);
                Ok((floored, format!(" [{amount} {asset} = {floored} {unit}]")))
            }
            Amount::Notional(value) => {
                let other = if self.side == TradeType::Buy { best.ask } else { best.bid };
                let at = price.or(other).filter(|price| !price.is_zero());
                let at =
                    at.ok_or_else(|| ShellError(format!("{} has no price for ${value} now", self.pair)))?;
                let amount = instrument.qty_from_notional(*value, at);
                let amount = amount.map(|amount| floor(amount, instrument)).unwrap_or_default();
                if amount <= Decimal::ZERO {
                    let lot = instrument.qty_decimal(instrument.rule.lot);
                    return Err(ShellError(format!("${value} at {at} is less than one lot ({lot} {unit})")));
                }
                Ok((amount, format!(" [${value} at {at} = {amount} {unit}]")))
            }
        }
    }
}

fn at(words: &mut Words<'_>) -> Result<At, ShellError> {
    let word = words.next("a price or `best`")?;
    let lower = word.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("best") {
        let ticks = if rest.is_empty() {
            Some(0)
        } else {
            rest.parse().ok().filter(|_| rest.starts_with(['+', '-']))
        };
        return ticks.map(|ticks| At::Best { ticks }).ok_or_else(|| usage(&format!("not a price: {word:?}")));
    }
    if words.take("ticks") || words.take("tick") {
        let count: i64 = word.parse().map_err(|_| usage(&format!("not a number of ticks: {word:?}")))?;
        let below = words.take("below");
        if !below && !words.take("above") {
            return Err(usage("`below best` or `above best` is missing"));
        }
        if !words.take("best") {
            return Err(usage("`best` is missing"));
        }
        return Ok(At::Best { ticks: if below { count.saturating_neg() } else { count } });
    }
    decimal(word).map(At::Price).ok_or_else(|| usage(&format!("not a price: {word:?}")))
}

/// `D`, or `N%` and perhaps `from P`.
fn trail(words: &mut Words<'_>) -> Result<Reach, ShellError> {
    let word = words.next("a distance from the market")?;
    let (number, is_share) = match word.strip_suffix('%') {
        Some(number) => (number, true),
        None => (word, false),
    };
    let number =
        decimal(number).ok_or_else(|| usage(&format!("not a distance from the market: {word:?}")))?;
    if number <= Decimal::ZERO {
        return Err(usage(&format!("trail {word}: a distance is more than zero")));
    }
    if !is_share {
        return Ok(Reach::Trail(number, by(words)?));
    }
    let from = if words.take("from") { Some(words.decimal("a price to begin at")?) } else { None };
    let from = from.map(|price| price.normalize());
    Ok(Reach::Callback(CallbackRate { percent: number.normalize(), from, begun: None }, by(words)?))
}

fn life(word: &str, words: &mut Words<'_>) -> Result<Life, ShellError> {
    Ok(match word {
        "gtc" => Life::Gtc,
        "ioc" => Life::Ioc,
        "fok" => Life::Fok,
        _ => {
            let time = words.next("a time")?;
            let is_length = time.ends_with(|c: char| c.is_ascii_alphabetic()) && !time.contains('T');
            match parse_duration(time).filter(|_| is_length) {
                Some(length) => Life::For(length),
                None => Life::Until(time.parse().map_err(|error: crate::market::TimestampError| {
                    ShellError(format!("{error}, or a length such as 30s"))
                })?),
            }
        }
    })
}

fn by(words: &mut Words<'_>) -> Result<TriggerBy, ShellError> {
    if !words.take("by") {
        return Ok(TriggerBy::Last);
    }
    match words.next("last, mark, index or last_near_mark")? {
        "last" => Ok(TriggerBy::Last),
        "last_near_mark" => Ok(TriggerBy::LastNearMark),
        "mark" => Ok(TriggerBy::Mark),
        "index" => Ok(TriggerBy::Index),
        other => Err(usage(&format!("not a price: {other:?} (last, mark, index, last_near_mark)"))),
    }
}

fn floor(amount: Decimal, instrument: &Instrument) -> Decimal {
    let lot = instrument.qty_decimal(instrument.rule.lot);
    amount.checked_rem(lot).map_or(amount, |rest| (amount - rest).normalize())
}

/// What amounts of an instrument are counted in.
pub fn unit(instrument: &Instrument) -> String {
    instrument.unit().to_owned()
}

/// An order in words: `buy 0.01 BTC-USDT at 64999.99, limit gtc`.
pub fn describe(request: &OrderRequest) -> String {
    let side = if request.trade_type == TradeType::Sell { "sell" } else { "buy" };
    let amount = if request.special.whole { "all".to_owned() } else { request.amount.to_string() };
    let mut text = format!("{side} {amount} {}", request.trading_pair);
    if let Some(price) = request.price {
        text += &format!(" at {price}");
    }
    text += &format!(", {}", kind_words(request.order_type, request.time_in_force));
    if let Some((kind, price, by)) = request.trigger {
        text += ", ";
        text += &reach_words(kind, &price.to_string(), &request.special, by);
    }
    if let Some(display) = request.special.display {
        text += &format!(", show {display}");
    }
    text
}

/// What an order waits for: `stop 59500 by mark`, `trail 50`, `trail 1% from 61000`.
pub fn reach_words(kind: TriggerKind, price: &str, special: &Special, by: TriggerBy) -> String {
    let what = match (special.trail, special.callback, kind) {
        (Some(distance), _, _) => format!("trail {distance}"),
        (None, Some(CallbackRate { percent, from: None, .. }), _) => format!("trail {percent}%"),
        (None, Some(CallbackRate { percent, from: Some(from), .. }), _) => {
            format!("trail {percent}% from {from}")
        }
        (None, None, TriggerKind::Stop) => format!("stop {price}"),
        (None, None, TriggerKind::TakeProfit) => format!("take profit {price}"),
    };
    match by {
        TriggerBy::Last => what,
        TriggerBy::Mark | TriggerBy::Index | TriggerBy::LastNearMark => format!("{what} by {}", by_word(by)),
    }
}

/// The price that a trigger looks at.
pub fn by_word(by: TriggerBy) -> &'static str {
    match by {
        TriggerBy::Last => "last",
        TriggerBy::Mark => "mark",
        TriggerBy::Index => "index",
        TriggerBy::LastNearMark => "last_near_mark",
    }
}

/// `limit gtc`, `market`.
pub fn kind_words(order_type: OrderType, tif: TimeInForce) -> String {
    let kind = order_type.name().to_ascii_lowercase();
    match tif {
        TimeInForce::Ioc if order_type == OrderType::Market => kind,
        TimeInForce::Gtc => format!("{kind} gtc"),
        TimeInForce::Ioc => format!("{kind} ioc"),
        TimeInForce::Fok => format!("{kind} fok"),
        TimeInForce::Gtd(time) => format!("{kind} gtd {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Qty;

    fn btc() -> Instrument {
        let mut btc = Instrument::spot("BTC_USDT", Pair::new("BTC", "USDT"), 2, 5).unwrap();
        btc.rule.lot = Qty::from_units(10);
        btc
    }

    fn resolve(text: &str) -> Result<(OrderRequest, String), ShellError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let side = if words[0] == "buy" { TradeType::Buy } else { TradeType::Sell };
        let best =
            BestPrices { bid: Some("65000.10".parse().unwrap()), ask: Some("65000.50".parse().unwrap()) };
        OrderLine::parse(side, &words[1..])?.resolve(&btc(), best, Timestamp::from_millis(0))
    }

    #[test]
    fn what_lines_mean() {
        for (line, want) in [
            ("buy 0.01 BTC-USDT", "buy 0.01 BTC-USDT, market"),
            ("buy 0.01 BTC-USDT market fok", "buy 0.01 BTC-USDT, market fok"),
            ("sell 0.01 BTC-USDT at 66000", "sell 0.01 BTC-USDT at 66000, limit gtc"),
            ("buy 0.01 btc-usdt at best", "buy 0.01 BTC-USDT at 65000.1, limit gtc"),
            ("buy 0.01 BTC-USDT at best-2", "buy 0.01 BTC-USDT at 65000.08, limit gtc"),
            ("sell 0.01 BTC-USDT at best+2", "sell 0.01 BTC-USDT at 65000.52, limit gtc"),
            ("buy 0.01 BTC-USDT at 1 ticks below best", "buy 0.01 BTC-USDT at 65000.09, limit gtc"),
            ("sell 0.01 BTC-USDT at 1 tick above best ioc", "sell 0.01 BTC-USDT at 65000.51, limit ioc"),
            ("buy 0.01 BTC-USDT at best limit_maker", "buy 0.01 BTC-USDT at 65000.1, limit_maker gtc"),
            ("buy 0.01237 BTC BTC-USDT", "buy 0.0123 BTC-USDT, market [0.01237 BTC = 0.0123 BTC]"),
            ("buy $500 BTC-USDT", "buy 0.0076 BTC-USDT, market [$500 at 65000.50 = 0.0076 BTC]"),
            (
                "sell $500 BTC-USDT at 50000",
                "sell 0.01 BTC-USDT at 50000, limit gtc [$500 at 50000 = 0.01 BTC]",
            ),
            ("buy 1 BTC-USDT at 1 gtd 30s", "buy 1 BTC-USDT at 1, limit gtd 1970-01-01T00:00:30Z"),
            (
                "buy 1 BTC-USDT at 1 gtd 2026-01-05T10:00:00Z",
                "buy 1 BTC-USDT at 1, limit gtd 2026-01-05T10:00:00Z",
            ),
            ("buy 1 BTC-USDT stop 66000 by last", "buy 1 BTC-USDT, market, stop 66000"),
            ("sell 1 BTC-USDT at 9 take_profit 10", "sell 1 BTC-USDT at 9, limit gtc, take profit 10"),
            ("sell 1 BTC-USDT trail 50 by last", "sell 1 BTC-USDT, market, trail 50"),
            ("buy 10 BTC-USDT at 9 show 0.5", "buy 10 BTC-USDT at 9, limit gtc, show 0.5"),
        ] {
            assert_eq!(resolve(line).map(|(_, text)| text).unwrap(), want, "{line}");
        }
        let (request, _) = resolve("buy 1 BTC-USDT at 1 stp both").unwrap();
        assert_eq!(request.self_trade, Some(SelfTrade::CancelBoth));
    }

    #[test]
    fn perpetuals_have_more_words() {
        let mut contract = btc();
        contract.product = Product::Linear { multiplier: Decimal::ONE };
        let resolve = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let line = OrderLine::parse(TradeType::Sell, &words).map_err(|error| error.to_string())?;
            let made = line.resolve(&contract, BestPrices::default(), Timestamp::from_millis(0));
            made.map_err(|error| error.to_string())
        };
        for (line, want) in [
            ("1 BTC-USDT stop 5 by mark close", "sell 1 BTC-USDT, market, stop 5 by mark"),
            ("1 BTC-USDT trail 50 by index", "sell 1 BTC-USDT, market, trail 50 by index"),
            ("1 BTC-USDT stop 50 by last_near_mark", "sell 1 BTC-USDT, market, stop 50 by last_near_mark"),
            ("1 BTC-USDT trail 0.50%", "sell 1 BTC-USDT, market, trail 0.5%"),
            (
                "1 BTC-USDT trail 1% from 66000 by mark",
                "sell 1 BTC-USDT, market, trail 1% from 66000 by mark",
            ),
            ("all BTC-USDT close", "sell all BTC-USDT, market"),
            ("all BTC-USDT at 9 stop 10 close", "sell all BTC-USDT at 9, limit gtc, stop 10"),
        ] {
            assert_eq!(resolve(line).map(|(_, text)| text).as_deref(), Ok(want), "{line}");
        }
        let (request, _) = resolve("all BTC-USDT reduce_only trail 7.5 by mark").unwrap();
        let special = Special { trail: Some(Decimal::new(75, 1)), whole: true, ..Special::default() };
        assert_eq!(request.special, special);
        assert_eq!(request.trigger, Some((TriggerKind::Stop, Decimal::ZERO, TriggerBy::Mark)));
        let refused = |line: &str| resolve(line).unwrap_err();
        assert!(refused("all BTC-USDT").contains("add `close`"));
        assert!(refused("all BTC-USDT open").contains("add `close`"));
    }

    #[test]
    fn what_lines_do_not_mean() {
        for (line, want) in [
            ("buy", "AMOUNT is missing"),
            ("buy x BTC-USDT", "not an amount: \"x\""),
            ("buy 1", "PAIR is missing"),
            ("buy 1 BTC", "PAIR is missing"),
            ("buy 1 ETH BTC-USDT", "ETH is not the base of BTC-USDT"),
            ("buy 1 BTC-USDT at", "a price or `best` is missing"),
            ("buy 1 BTC-USDT at bestest", "not a price: \"bestest\""),
            ("buy 1 BTC-USDT at 3 ticks", "`below best` or `above best` is missing"),
            ("buy 1 BTC-USDT at 9999999999 ticks below best", "is no price"),
            ("buy 1 BTC-USDT limit", "a limit order needs a price"),
            ("buy 1 BTC-USDT at 5 market", "a market order takes no price"),
            ("buy 1 BTC-USDT market gtc", "a market order does not rest"),
            ("buy 1 BTC-USDT at 5 at 6", "\"at\" is one too many"),
            ("buy 1 BTC-USDT at 5 gtd soon", "not a time: \"soon\""),
            ("buy 1 BTC-USDT reduce_only", "spot has no position"),
            ("buy 1 BTC-USDT show 1", "there is nothing to hide"),
            ("buy 1 BTC-USDT at 5 show", "an amount to show is missing"),
            ("buy 1 BTC-USDT stop 5 by mark", "spot has only a last price"),
            ("buy 1 BTC-USDT trail 5 by index", "spot has only a last price"),
            ("buy 1 BTC-USDT trail 0", "a distance is more than zero"),
            ("buy 1 BTC-USDT trail", "a distance from the market is missing"),
            ("buy 1 BTC-USDT trail %", "not a distance from the market: \"%\""),
            ("buy 1 BTC-USDT trail 0%", "a distance is more than zero"),
            ("buy 1 BTC-USDT trail 1% from", "a price to begin at is missing"),
            ("buy 1 BTC-USDT at 5 trail 1%", "is a market order: leave out `at`"),
            ("buy 1 BTC-USDT stop 5 trail 1", "leave out `stop` and `take_profit`"),
            ("buy 1 BTC-USDT trail 1 stop 5", "\"stop\" is one too many"),
            ("buy all BTC-USDT close", "spot has no position"),
            ("buy all BTC-USDT", "spot has none: give an amount"),
            ("buy $0.01 BTC-USDT", "less than one lot"),
            ("buy 1 BTC-USDT please", "what is \"please\"?"),
        ] {
            let error = resolve(line).unwrap_err().to_string();
            assert!(error.contains(want), "{line}: {error}");
        }
    }
}
