//! A small market maker over the connector trait: it quotes both sides, a few ticks from the touch, for ten minutes.
//!
//! ```text
//! cargo run --example quote_both_sides
//! ```
//!
//! [`quote`] knows only [`Connector`]: it does not know that the exchange is simulated. `main` owns the exchange and
//! lets its time pass. The market is synthetic, so two runs print the same.

use std::error::Error;
use std::time::Duration;

use papertape::connector::{ClientIds, Connector, EventBody, OrderType, OwnOrders};
use papertape::feed::synth::SynthConfig;
use papertape::market::{Asset, InstrumentId, Pair, Source};
use papertape::order::{AccountId, SessionId};
use papertape::paper::{PaperConnector, PaperExchange, PaperOptions, Stop, share};
use papertape::sim::{MarketConfig, SimConfig};
use papertape::venue::connectors::usable_connector;
use rust_decimal::Decimal;

const NAME: &str = "bitmart_paper_trade";
const SESSION: SessionId = SessionId(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut connector = open()?;
    let pair = Pair::new("BTC", "USDT");
    let (mut fills, mut bought, mut sold) = (0, Decimal::ZERO, Decimal::ZERO);
    for _ in 0..200 {
        quote(&mut connector, &pair)?;
        if connector.handle().lock().advance(Duration::from_secs(3))? == Stop::EndOfTape {
            break;
        }
        for event in connector.drain_events() {
            if let EventBody::OrderFilled { trade_type, amount, .. } = event.body {
                fills += 1;
                match trade_type.name() {
                    "BUY" => bought += amount,
                    _ => sold += amount,
                }
            }
        }
    }
    let base = connector.get_balance(&Asset::new("BTC"));
    println!("{fills} fills: bought {bought} BTC, sold {sold} BTC, {base} BTC are left of 1");
    assert!(fills > 0, "in ten minutes somebody trades with us");
    assert_eq!(base, Decimal::ONE + bought - sold, "balances are the sum of fills");
    Ok(())
}

/// Takes the old quotes away and sends new ones five ticks behind the best prices of the others.
fn quote(connector: &mut dyn Connector, pair: &Pair) -> Result<(), Box<dyn Error>> {
    for order in connector.in_flight_orders() {
        connector.cancel(pair, &order.client_order_id)?;
    }
    // Without our own orders, or we would quote around ourselves.
    let book = connector.get_order_book(pair, 1, OwnOrders::Without)?;
    let ([(bid, _)], [(ask, _)]) = (&book.bids[..], &book.asks[..]) else { return Ok(()) };
    let away = connector.get_order_price_quantum(pair)? * Decimal::from(5);
    let amount = Decimal::new(1, 2);
    connector.buy(pair, amount, OrderType::LimitMaker, Some(bid - away))?;
    connector.sell(pair, amount, OrderType::LimitMaker, Some(ask + away))?;
    Ok(())
}

/// A paper account with 1 BTC and 100,000 USDT on a synthetic market, at the first book that can be believed.
fn open() -> Result<PaperConnector, Box<dyn Error>> {
    let line = usable_connector(NAME)?;
    let market = SynthConfig::new(line, &[Pair::new("BTC", "USDT")], &[], 7)?;
    let source = SynthConfig { duration: Some(Duration::from_secs(900)), ..market }.market();
    let instruments = source.instruments().iter().zip(0..);
    let markets = instruments.map(|(instrument, id)| MarketConfig {
        instrument: instrument.clone(),
        fees: line.fees(),
        depth: source.depth(InstrumentId(id)),
        tradable: true,
        contract: None,
    });
    let config = SimConfig { venue: line.venue()?.rules(), ..SimConfig::realistic(markets.collect(), 7) };
    let mut paper = PaperExchange::new(config, Box::new(source), PaperOptions::default())?;
    let names = paper.names().clone();
    let deposit = |ticker: &str, amount: i64| {
        let asset = names.asset_index(&Asset::new(ticker))?;
        Some((asset, names.money(asset, Decimal::from(amount))?))
    };
    let deposits =
        [deposit("BTC", 1), deposit("USDT", 100_000)].map(|deposit| deposit.ok_or("not an asset of the run"));
    let deposits = deposits.into_iter().collect::<Result<Vec<_>, _>>()?;
    paper.open_account(AccountId(1), SESSION, &deposits)?;
    paper.run_until_trusted(&[InstrumentId(0)])?;
    Ok(PaperConnector::new(NAME, SESSION, share(paper), ClientIds::new(7, 1)))
}
