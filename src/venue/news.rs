//! What a group tells beside its market, sorted for encoders.

use crate::market::{FinePrice, FundingRate, Group, MarketEvent, News, Price, Qty, Side, Timestamp};

/// The news of one group; of what it tells twice the last word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) mark: Option<FinePrice>,
    pub(super) index: Option<FinePrice>,
    /// The rate, and when it is due where that is said.
    pub(super) funding: Option<(FundingRate, Option<Timestamp>)>,
    /// Side, price and size of each.
    pub(super) liquidations: Vec<(Side, Price, Qty)>,
    /// Whether the contract is trading, where that is said.
    pub(super) trading: Option<bool>,
}

impl Told {
    /// Sorts the news of a group; `None` where it has none.
    pub(super) fn of(group: &Group<'_>) -> Option<Self> {
        let mut told = Self::default();
        for event in group.events {
            match *event {
                MarketEvent::Trading(trading) => told.trading = Some(trading),
                MarketEvent::News(News::Mark(price)) => told.mark = Some(price),
                MarketEvent::News(News::Index(price)) => told.index = Some(price),
                MarketEvent::News(News::Funding { rate, due }) => {
                    told.funding = Some((rate, (due != Timestamp::MAX).then_some(due)));
                }
                MarketEvent::News(News::Liquidation { side, price, qty }) => {
                    told.liquidations.push((side, price, qty));
                }
                // It is beside the tape, and stays there.
                MarketEvent::News(News::MarkBeside(_))
                | MarketEvent::Level { .. }
                | MarketEvent::Trade(_)
                | MarketEvent::Distrust
                | MarketEvent::Candle(_) => {}
            }
        }
        (told != Self::default()).then_some(told)
    }

    /// Whether a price or a rate is told.
    pub(super) fn has_numbers(&self) -> bool {
        self.mark.is_some() || self.index.is_some() || self.funding.is_some()
    }
}
