//! A borrowed market: another venue's tape under this venue's rules.
//!
//! Bids go down and asks go up to the borrower's tick; sizes add up per tick and go down to the lot; a print moves
//! against resting paper orders (a seller's up, a buyer's down) and its size goes down to the lot. Contract units
//! convert by notional in base. So a paper order never sees a better market than there was.
//!
//! Never here: which tape is borrowed by whom (see [`open`](super::open)).
//! Start at [`Borrow::new`].

mod convert;

use std::path::PathBuf;

use rustc_hash::FxHashMap;

pub use convert::{BorrowError, same_market};
use convert::{Conversion, Kind};

use crate::feed::merge::AnySource;
use crate::market::{
    Batch, EMPTY, FeedDepth, FeedStats, Group, GroupKind, Instrument, InstrumentId, Ladder, MarketEvent,
    Price, Print, Qty, Reach, Side, Source, SourceError, Timestamp,
};

/// Says under which instrument one of the lender's is traded; `None`: not at all.
pub type Lending = Box<dyn Fn(&Instrument) -> Option<Instrument> + Send>;

/// Another venue's market under this venue's rules.
pub struct Borrow {
    source: AnySource,
    lending: Lending,
    markets: Vec<Option<Market>>,
    instruments: Vec<Instrument>,
    depths: Vec<FeedDepth>,
    notes: Vec<String>,
    events: Vec<MarketEvent>,
    /// The number of the group's instrument; `None` where there is no group.
    current: Option<InstrumentId>,
    /// Whether the group is the lender's own, unchanged.
    same: bool,
}

/// One borrowed instrument.
struct Market {
    id: InstrumentId,
    conversion: Conversion,
    sides: [SideBook; 2],
    touched: Vec<(Side, Price)>,
    groups: u64,
}

/// One side of the lender's book, and its sums on the borrower's grid.
struct SideBook {
    fine: Ladder,
    sums: FxHashMap<Price, Sum>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// In the conversion's unit.
    total: i128,
    /// What the borrower was told last.
    shown: Qty,
    /// The group that touched it last.
    touched: u64,
}

impl Borrow {
    /// Plays `source` under the instruments that `lending` names.
    pub fn new(source: AnySource, lending: Lending) -> Result<Self, SourceError> {
        let mut borrow = Self {
            source,
            lending,
            markets: Vec::new(),
            instruments: Vec::new(),
            depths: Vec::new(),
            notes: Vec::new(),
            events: Vec::new(),
            current: None,
            same: true,
        };
        borrow.learn()?;
        Ok(borrow)
    }

    /// What counts as equal and is not quite: quotes (USD, USDT, USDC), contract units.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Sets up the instruments that the lender has begun to speak of.
    fn learn(&mut self) -> Result<(), SourceError> {
        while let Some(from) = self.source.instruments().get(self.markets.len()) {
            let depth = self.source.depth(InstrumentId(self.markets.len() as u32));
            let Some(to) = (self.lending)(from) else {
                self.markets.push(None);
                continue;
            };
            let conversion = Conversion::new(from, &to).map_err(|error| SourceError::File {
                file: PathBuf::from(from.symbol.as_str()),
                fault: error.to_string(),
            })?;
            if self.instruments.iter().any(|have| have.pair == to.pair) {
                self.notes.push(format!("{} left out: {} already has a market", from.symbol, to.pair));
                self.markets.push(None);
                continue;
            }
            self.notes.extend(conversion.notes(from, &to));
            let id = self.instruments.len();
            self.instruments.push(to);
            self.depths.push(depth);
            let side =
                |side| SideBook { fine: Ladder::new(side, from.rule.tick), sums: FxHashMap::default() };
            self.markets.push(Some(Market {
                id: InstrumentId(id as u32),
                conversion,
                sides: Side::BOTH.map(side),
                touched: Vec::new(),
                groups: 0,
            }));
        }
        Ok(())
    }
}

impl Source for Borrow {
    fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    fn depth(&self, instrument: InstrumentId) -> FeedDepth {
        self.depths.get(instrument.index()).copied().unwrap_or_default()
    }

    fn advance(&mut self) -> Result<Option<Timestamp>, SourceError> {
        self.current = None;
        loop {
            let Some(time) = self.source.advance()? else { return Ok(None) };
            // Where the lender has one instrument, every group is of it.
            let alone = self.markets.len() == 1 && self.source.instruments().len() == 1;
            let at = if alone { 0 } else { self.source.group().instrument.index() };
            if at >= self.markets.len() {
                self.learn()?;
            }
            if let Some(Some(market)) = self.markets.get_mut(at) {
                self.current = Some(market.id);
                let kind = market.conversion.kind();
                self.same = kind == Kind::Identity;
                match kind {
                    Kind::Identity => {}
                    Kind::Rescale => market.rescale(&self.source.group(), &mut self.events),
                    Kind::Coarser => market.convert(&self.source.group(), &mut self.events),
                }
                return Ok(Some(time));
            }
        }
    }

    fn group(&self) -> Group<'_> {
        let Some(instrument) = self.current else { return EMPTY };
        let group = self.source.group();
        let events = if self.same { group.events } else { &self.events };
        Group { instrument, events, ..group }
    }

    fn read(&mut self, batch: &mut Batch, reach: &Reach) {
        let same = |market: &Option<Market>| {
            market.as_ref().is_some_and(|market| market.conversion.kind() == Kind::Identity)
        };
        let all_known = self.source.instruments().len() == self.markets.len();
        if !(all_known && self.markets.iter().all(same)) {
            batch.read_each(self, reach);
            return;
        }
        self.current = None;
        self.source.read(batch, reach);
        batch.retell(|head, _, _| {
            let market = self.markets.get(head.instrument.index()).and_then(Option::as_ref);
            head.instrument = market.map_or(head.instrument, |market| market.id);
        });
    }

    fn stats(&self) -> FeedStats {
        self.source.stats()
    }

    fn may_go_on(&self) -> bool {
        self.source.may_go_on()
    }
}

impl Market {
    /// The same events in the borrower's scales.
    fn rescale(&self, group: &Group<'_>, out: &mut Vec<MarketEvent>) {
        out.clear();
        let values = |price: Price, qty: Qty| {
            let scaled = self.conversion.price(Side::Buy, price)?;
            Some((scaled, self.conversion.qty(scaled, self.conversion.amount(price, qty))))
        };
        out.extend(group.events.iter().filter_map(|event| {
            match *event {
                MarketEvent::Level { side, price, qty } => {
                    values(price, qty).map(|(price, qty)| MarketEvent::Level { side, price, qty })
                }
                MarketEvent::Trade(print) => values(print.price, print.qty)
                    .map(|(price, qty)| MarketEvent::Trade(Print { price, qty, ..print })),
                other => Some(other),
            }
        }));
    }

    /// Puts what `group` means to the borrower into `out`.
    fn convert(&mut self, group: &Group<'_>, out: &mut Vec<MarketEvent>) {
        out.clear();
        self.groups += 1;
        if group.kind == GroupKind::Snapshot {
            for side in &mut self.sides {
                side.fine.clear();
                side.sums.clear();
            }
        }
        for event in group.events {
            if let MarketEvent::Level { side, price, qty } = *event {
                self.level(side, price, qty);
            }
        }
        let levels_first = matches!(group.events.first(), Some(MarketEvent::Level { .. }));
        if levels_first {
            self.show(out);
        }
        for event in group.events {
            match *event {
                MarketEvent::Level { .. } => {}
                MarketEvent::Trade(print) => out.extend(self.print(print).map(MarketEvent::Trade)),
                other => out.push(other),
            }
        }
        self.show(out);
    }

    /// Takes a level of the lender into the sum of its tick.
    fn level(&mut self, side: Side, price: Price, qty: Qty) {
        let Some(tick) = self.conversion.price(side, price) else { return };
        let book = &mut self.sides[side.index()];
        let before = Qty::from_units(book.fine.set(price, qty.units()));
        let sum = book.sums.entry(tick).or_default();
        sum.total += self.conversion.amount(price, qty) - self.conversion.amount(price, before);
        if sum.touched != self.groups {
            sum.touched = self.groups;
            self.touched.push((side, tick));
        }
    }

    /// Says what the touched ticks show now.
    fn show(&mut self, out: &mut Vec<MarketEvent>) {
        for (side, price) in self.touched.drain(..) {
            let sums = &mut self.sides[side.index()].sums;
            let Some(sum) = sums.get_mut(&price) else { continue };
            let qty = self.conversion.qty(price, sum.total);
            let before = std::mem::replace(&mut sum.shown, qty);
            if sum.total == 0 {
                sums.remove(&price);
            }
            if !(qty.is_zero() && before.is_zero()) {
                out.push(MarketEvent::Level { side, price, qty });
            }
        }
    }

    /// A print as the borrower may believe it; `None` where nothing of it is left.
    fn print(&self, print: Print) -> Option<Print> {
        let best = |side: Side| self.sides[side.index()].fine.best().map(|(price, _)| price);
        let (bid, ask) = (best(Side::Buy), best(Side::Sell));
        // The rule for prints without a side, on the lender's own prices: on the coarse grid the touch is elsewhere.
        let aggressor = print.aggressor.or_else(|| match (bid, ask) {
            (_, Some(ask)) if print.price >= ask => Some(Side::Buy),
            (Some(bid), _) if print.price <= bid => Some(Side::Sell),
            _ => None,
        });
        let price = match aggressor {
            Some(side) => self.conversion.price(side, print.price)?,
            None => self.between(print.price, bid, ask)?,
        };
        let qty = self.conversion.qty(price, self.conversion.amount(print.price, print.qty));
        (!qty.is_zero()).then_some(Print { aggressor, price, qty, ..print })
    }

    /// A print inside the spread stays inside it, on whichever tick is there; with none there, it is dropped.
    fn between(&self, price: Price, bid: Option<Price>, ask: Option<Price>) -> Option<Price> {
        let [up, down] = [Side::Sell, Side::Buy].map(|side| self.conversion.price(side, price));
        let ask = ask.and_then(|ask| self.conversion.price(Side::Sell, ask));
        let bid = bid.and_then(|bid| self.conversion.price(Side::Buy, bid));
        let up = up.filter(|up| ask.is_none_or(|ask| *up < ask));
        up.or_else(|| down.filter(|down| bid.is_none_or(|bid| *down > bid)))
    }
}

#[cfg(test)]
mod tests;
