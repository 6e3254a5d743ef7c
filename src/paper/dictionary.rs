//! What the numbers of a run stand for: its instruments and its assets.

use rust_decimal::Decimal;

use crate::market::decimal::{decimal_of, units_of};
use crate::market::{Asset, Instrument, InstrumentId, Pair};
use crate::order::Money;
use crate::sim::SimulatedExchange;

/// What stands for money that no decimal holds; a few of it can still be summed. No real account gets there.
const LARGEST: Decimal = Decimal::from_parts(3_892_314_112, 2_681_241_660, 54_210_108, false, 0);

/// The instruments and assets of a run by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    instruments: Vec<Instrument>,
    assets: Vec<(Asset, u8)>,
    /// By asset: whether an account can do anything with it.
    used: Vec<bool>,
}

impl Dictionary {
    /// That of a simulated exchange.
    pub fn of(sim: &SimulatedExchange) -> Self {
        let scale = |index: usize| u16::try_from(index).map_or(0, |asset| sim.asset_scale(asset));
        Self {
            used: sim.assets().iter().map(|asset| sim.uses(asset)).collect(),
            instruments: sim.config().markets.iter().map(|market| market.instrument.clone()).collect(),
            assets: sim.assets().iter().enumerate().map(|(at, asset)| (asset.clone(), scale(at))).collect(),
        }
    }

    /// All instruments, in the order of the run.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// An instrument by its number.
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index())
    }

    /// The instrument of a pair.
    pub fn find(&self, pair: &Pair) -> Option<(InstrumentId, &Instrument)> {
        let at = self.instruments.iter().position(|instrument| instrument.pair == *pair)?;
        Some((InstrumentId(u32::try_from(at).ok()?), &self.instruments[at]))
    }

    /// All assets.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.iter().map(|(asset, _)| asset)
    }

    /// Those that an account can do something with: of a contract only what it settles in.
    pub fn funds(&self) -> impl Iterator<Item = &Asset> {
        self.assets().zip(&self.used).filter(|(_, used)| **used).map(|(asset, _)| asset)
    }

    /// An asset by its number.
    pub fn asset(&self, index: u16) -> Option<&Asset> {
        self.assets.get(usize::from(index)).map(|(asset, _)| asset)
    }

    /// The number of an asset.
    pub fn asset_index(&self, asset: &Asset) -> Option<u16> {
        u16::try_from(self.assets.iter().position(|(known, _)| known == asset)?).ok()
    }

    /// An amount of an asset as a decimal.
    pub fn decimal(&self, asset: u16, money: Money) -> Decimal {
        let scale = self.assets.get(usize::from(asset)).map_or(0, |(_, scale)| *scale);
        decimal_of(money.0, scale).unwrap_or(LARGEST)
    }

    /// A decimal as an amount of an asset; `None` where it has more decimals than the asset's smallest unit.
    pub fn money(&self, asset: u16, amount: Decimal) -> Option<Money> {
        let (_, scale) = self.assets.get(usize::from(asset))?;
        units_of(amount, *scale).map(Money)
    }

    /// An amount of an instrument's quote as a decimal.
    pub fn quote_decimal(&self, instrument: InstrumentId, money: Money) -> Decimal {
        let quote = self.instrument(instrument).and_then(|i| self.asset_index(&i.pair.quote));
        quote.map_or(Decimal::ZERO, |asset| self.decimal(asset, money))
    }
}
