//! Funding arbitrage: long spot and as much short in the perpetual, on one virtual clock, to collect what longs pay.
//!
//! ```text
//! cargo run --example funding_arbitrage
//! ```
//!
//! The strategy knows only [`Trading`]: it would run on real exchanges' paper accounts just so. Both markets are
//! synthetic and begin ten minutes before a funding; the price may go where it likes, for what one leg loses the other
//! gains. One payment does not pay for four takers' fees: the last line says how many do.

use std::error::Error;
use std::time::Duration;

use papertape::backtest::{Described, Go, Plan, VenuePlan, run};
use papertape::feed::synth::SynthConfig;
use papertape::market::{Asset, InstrumentId, Pair, Side, Source, Timestamp};
use papertape::order::{Leverage, OrderKind, PositionEffect};
use papertape::sim::{MarketConfig, QueueModel, Setting, SimConfig};
use papertape::strategy::{
    Ask, MarketId, NextFunding, OwnOrder, Parameters, Strategy, StrategyError, StrategyKind, Trading,
};
use papertape::venue::connectors::usable_connector;
use rust_decimal::Decimal;

/// In base: 0.5 BTC of spot, and contracts of as much.
const AMOUNT: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
const SECOND: Duration = Duration::from_secs(1);

/// Holds both legs over one funding.
#[derive(Default)]
struct FundingArbitrage {
    spot: MarketId,
    perpetual: MarketId,
    /// The funding that it waits for, once it has opened.
    waits_for: Option<NextFunding>,
}

impl FundingArbitrage {
    /// Buys spot and sells the contract, or the other way round.
    fn trade(&self, desk: &mut dyn Trading, spot: Side, effect: PositionEffect) {
        for (market, side, effect) in
            [(self.spot, spot, PositionEffect::Net), (self.perpetual, spot.opposite(), effect)]
        {
            let Some(qty) = desk.markets()[market.index()].amount(AMOUNT / self.base_of_one(desk, market))
            else {
                continue;
            };
            desk.place(Ask { market, side, kind: OrderKind::Market, price: None, qty, effect });
        }
    }

    /// How much base one unit of quantity is: contracts are counted in the venue's own size.
    fn base_of_one(&self, desk: &dyn Trading, market: MarketId) -> Decimal {
        match desk.markets()[market.index()].instrument.product {
            papertape::market::Product::Linear { multiplier } => multiplier,
            _ => Decimal::ONE,
        }
    }
}

impl Strategy for FundingArbitrage {
    fn start(&mut self, desk: &mut dyn Trading) -> Result<Option<Timestamp>, StrategyError> {
        let find = |contract: bool| {
            let at = desk.markets().iter().position(|market| market.positions.is_some() == contract);
            let at = at.and_then(|at| u32::try_from(at).ok()).map(MarketId);
            at.ok_or_else(|| StrategyError::Market("it needs a spot market and a perpetual".to_owned()))
        };
        (self.spot, self.perpetual) = (find(false)?, find(true)?);
        desk.set(self.perpetual, Setting::Leverage { side: None, leverage: Leverage::times(5) });
        Ok(Some(desk.now().plus(SECOND)))
    }

    fn tick(&mut self, desk: &mut dyn Trading) -> Option<Timestamp> {
        let next = desk.now().plus(SECOND);
        match self.waits_for {
            None => {
                let funding = desk.funding(self.perpetual)?;
                if funding.rate > Decimal::ZERO {
                    println!(
                        "the next funding is {} at {}: long spot, short perpetual",
                        funding.rate, funding.due
                    );
                    self.trade(desk, Side::Buy, PositionEffect::Open);
                    self.waits_for = Some(funding);
                }
            }
            Some(funding) if desk.now() > funding.due.plus(SECOND) => {
                println!("funding is paid: both legs are closed");
                self.trade(desk, Side::Sell, PositionEffect::Close);
                return None;
            }
            Some(_) => {}
        }
        Some(next)
    }

    fn on_order(&mut self, desk: &mut dyn Trading, order: &OwnOrder, news: papertape::strategy::News) {
        if let papertape::strategy::News::Filled { price, qty, .. } = news {
            let market = &desk.markets()[order.ask.market.index()];
            let (price, qty) = (market.instrument.show_price(price), market.instrument.show_qty(qty));
            println!(
                "  {} {} {qty} at {price} on {}",
                order.ask.side, market.instrument.symbol, market.connector
            );
        }
    }
}

static KIND: StrategyKind = StrategyKind {
    name: "funding_arbitrage",
    what: "long spot and short perpetual over one funding",
    parameters: &[],
    build: |_| Ok(Box::<FundingArbitrage>::default()),
};

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan {
        venues: vec![venue("bitmart_paper_trade")?, venue("bitmart_perpetual_paper_trade")?],
        strategy: &KIND,
        parameters: Parameters::default(),
        queues: vec![QueueModel::Conservative],
        two_clocks: false,
        from: None,
        to: None,
        warmup: Duration::ZERO,
        equity_interval: Duration::from_secs(60),
        account: "default".to_owned(),
        out: None,
    };
    let finished = run(plan, &mut |_| Go::On)?;
    let summary = finished.summary(Described::default(), 0.0);
    let results = summary.results();
    let fee: Decimal = results.fees.get("USDT").map_or(Ok(Decimal::ZERO), |fee| fee.parse())?;
    let funding: Decimal = results.funding.parse()?;
    println!("funding received {funding} USDT in {} payment, fees {fee} USDT", results.funding_payments);
    assert_eq!(results.funding_payments, 1, "it was held over one funding");
    assert!(funding > Decimal::ZERO, "shorts receive where the rate is positive");
    assert_eq!(results.orders_rejected, 0, "both legs could be paid");
    let payments = (fee / funding).ceil();
    println!("after {payments} payments like this one the fees are paid");
    Ok(())
}

/// A connector's synthetic market from ten minutes before the funding at 08:00 UTC to five after it, and 100,000 USDT.
fn venue(name: &str) -> Result<VenuePlan, Box<dyn Error>> {
    let line = usable_connector(name)?;
    let venue = line.venue()?;
    let pair = Pair::new("BTC", "USDT");
    let market = SynthConfig::new(line, std::slice::from_ref(&pair), &[], 7)?;
    let start: Timestamp = "2026-01-05T07:50:00Z".parse()?;
    let source = SynthConfig { start, duration: Some(Duration::from_secs(900)), ..market }.market();
    let markets = source.instruments().iter().zip(0..).map(|(instrument, id)| MarketConfig {
        instrument: instrument.clone(),
        fees: line.fees(),
        depth: source.depth(InstrumentId(id)),
        tradable: true,
        contract: venue.contract(instrument),
    });
    Ok(VenuePlan {
        connector: name.into(),
        config: SimConfig { venue: venue.rules(), ..SimConfig::realistic(markets.collect(), 7) },
        source: Box::new(source),
        market_delay: Duration::ZERO,
        chosen: vec![pair],
        balances: vec![(Asset::new("USDT"), Decimal::from(100_000))],
    })
}
