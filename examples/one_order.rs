//! One paper order from deposit to fill: the simulated exchange as a state machine, and what its updates say.
//!
//! ```text
//! cargo run --example one_order
//! ```
//!
//! [`SimulatedExchange::apply`] takes a time and one input, and appends updates. It never asks for the time: the caller
//! says when. A request that is sent at one time arrives after the entry latency; its answer is known to the trader
//! after the response latency (`deliver_at`). `docs/fills.md` has the rules that decide the fill.

use std::error::Error;
use std::time::Duration;

use papertape::market::{
    Asset, Group, GroupKind, IdSpan, Instrument, InstrumentId, MarketEvent, Pair, Print, Side, Timestamp,
};
use papertape::order::{AccountId, Money, NewOrder, SessionId};
use papertape::sim::{
    Admin, FeeSchedule, Input, LatencyModel, MarketConfig, Rate, Request, RequestBody, SimConfig,
    SimulatedExchange, Update, UpdateBody,
};

const ACCOUNT: AccountId = AccountId(1);
const SESSION: SessionId = SessionId(1);
const BTC: InstrumentId = InstrumentId(0);

fn main() -> Result<(), Box<dyn Error>> {
    let btc = Instrument::spot("BTC_USDT", Pair::new("BTC", "USDT"), 1, 2)?;
    let fees = FeeSchedule::flat_rates(Rate(1_000_000), Rate(2_000_000), "this example"); // 0.1 % and 0.2 %
    let market = MarketConfig::spot(btc.clone(), fees);
    let each_way = Duration::from_millis(10);
    let config = SimConfig {
        latency: LatencyModel::Constant { entry: each_way, response: each_way },
        ..SimConfig::realistic(vec![market], 7)
    };
    let mut exchange = SimulatedExchange::new(config)?;
    let mut updates = Vec::new();

    // An account with 1,000 USDT. Money is integers of the asset's smallest unit.
    let usdt = exchange.asset_index(&Asset::new("USDT")).ok_or("no USDT")?;
    let amount = Money(1_000 * 10_i128.pow(u32::from(exchange.asset_scale(usdt))));
    let start = Timestamp::from_millis(0);
    exchange.apply(start, Input::Admin(Admin::OpenAccount(ACCOUNT)), &mut updates);
    exchange.apply(
        start,
        Input::Admin(Admin::Deposit { account: ACCOUNT, asset: usdt, amount }),
        &mut updates,
    );

    // The book: bid 8 @ 100.0 | ask 5 @ 101.0.
    let level = |side, price: &str, qty: &str| -> Result<MarketEvent, Box<dyn Error>> {
        Ok(MarketEvent::Level { side, price: btc.price(price)?, qty: btc.qty(qty)? })
    };
    let book = [level(Side::Buy, "100.0", "8")?, level(Side::Sell, "101.0", "5")?];
    exchange.apply(start, group(GroupKind::Snapshot, 0, &book), &mut updates);

    // Sent at 5 ms, it arrives at 15 ms and joins behind 8; at 1 s a seller trades 9 at its price, and the last 1 is ours.
    let order = NewOrder::limit(BTC, Side::Buy, btc.qty("3")?, btc.price("100.0")?);
    let body = RequestBody::Place(order);
    let request = Request { session: SESSION, account: ACCOUNT, tag: 1, body };
    exchange.apply(Timestamp::from_millis(5), Input::Request(request), &mut updates);
    let (aggressor, id) = (Some(Side::Sell), IdSpan::default());
    let print = [MarketEvent::Trade(Print { aggressor, id, price: btc.price("100.0")?, qty: btc.qty("9")? })];
    exchange.apply(Timestamp::from_millis(1_000), group(GroupKind::Update, 1_000, &print), &mut updates);

    updates.iter().for_each(|update| tell(&exchange, &btc, update));
    let [order] = &exchange.open_orders(ACCOUNT)[..] else { return Err("one order is open".into()) };
    println!("filled {} of {}", btc.show_qty(order.filled), btc.show_qty(order.qty));
    assert_eq!((order.filled, order.qty), (btc.qty("1")?, btc.qty("3")?));
    // 1,000 less 100 less the maker's 0.1 %.
    assert_eq!(exchange.balance(ACCOUNT, usdt).total, Money(89_990_000_000));
    Ok(())
}

/// One message of the exchange, as the engine takes it.
fn group(kind: GroupKind, millis: i64, events: &[MarketEvent]) -> Input<'_> {
    let time = Timestamp::from_millis(millis);
    Input::Market(Group { instrument: BTC, kind, exchange_time: time, receive_time: time, events, ids: &[] })
}

/// Says what an update says. Ledger rows come before the order's new state: money first, then words.
fn tell(exchange: &SimulatedExchange, btc: &Instrument, update: &Update) {
    let at = update.at;
    match &update.body {
        UpdateBody::Order(order) => {
            let ahead = order.order.as_ref().and_then(|state| state.ahead);
            let ahead = ahead.map(|ahead| format!(", ahead {}", btc.show_qty(ahead))).unwrap_or_default();
            println!("{at}  order: {:?}{ahead}, known at {}", order.event, update.deliver_at);
        }
        UpdateBody::Fill(fill) => {
            println!(
                "{at}  fill: {} @ {} as {}, rule {}, evidence {}",
                btc.show_qty(fill.qty),
                btc.show_price(fill.price),
                fill.liquidity.name(),
                fill.rule.name(),
                fill.evidence.name()
            );
        }
        UpdateBody::Ledger(row) => {
            let asset = &exchange.assets()[usize::from(row.asset)];
            let (owner, cause) = (row.owner, row.cause.name());
            println!(
                "{at}  ledger: {owner:?} {asset} {:+} (hold {:+}) for {cause}",
                row.amount.0, row.hold_amount.0
            );
        }
        UpdateBody::PublicTrade(trade) => {
            println!("{at}  public trade: {} {}", trade.aggressor, btc.show_qty(trade.qty));
        }
        // Spot has no positions.
        UpdateBody::Position(_) | UpdateBody::Funding(_) | UpdateBody::Liquidation(_) => {}
    }
}
