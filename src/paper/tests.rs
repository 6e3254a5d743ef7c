//! The paper exchange over small markets drawn by hand.

use std::time::Duration;

use rust_decimal::Decimal;

use super::*;
use crate::connector::*;
use crate::market::*;
use crate::order::{AccountId, Money, SessionId};
use crate::sim::{FeeSchedule, LatencyModel, MarketConfig, QueueModel, Rate, SimConfig};

const SESSION: SessionId = SessionId(1);

use super::drawn::{btc, decimal, market};

fn config(queue: QueueModel, latency: u64) -> SimConfig {
    let instrument = btc();
    let rate = Rate(1_000_000);
    let fees = FeeSchedule::flat_rates(rate, Rate(2_000_000), "test");
    let markets = vec![MarketConfig::spot(instrument, fees)];
    let each_way = Duration::from_millis(latency);
    let latency = LatencyModel::Constant { entry: each_way, response: each_way };
    SimConfig { queue, latency, ..SimConfig::realistic(markets, 1) }
}

fn open(lines: &str, queue: QueueModel, latency: u64, options: PaperOptions) -> PaperConnector {
    let mut paper = PaperExchange::new(config(queue, latency), Box::new(market(lines)), options).unwrap();
    let deposits: Vec<(u16, Money)> = [("BTC", "10"), ("USDT", "10000")]
        .iter()
        .map(|(asset, amount)| {
            let index = paper.names().asset_index(&Asset::new(asset)).unwrap();
            (index, paper.names().money(index, decimal(amount)).unwrap())
        })
        .collect();
    paper.open_account(AccountId(1), SESSION, &deposits).unwrap();
    assert_eq!(paper.run_until_trusted(&[InstrumentId(0)]).unwrap(), []);
    PaperConnector::new("bitmart_paper_trade", SESSION, share(paper), ClientIds::new(1, 1))
}

const QUEUE: &str = "
    0    book bid 8 @ 100.0 5 @ 99.0 | ask 5 @ 101.0 7 @ 102.0
    100  level bid 9 @ 99.0
    1000 trade sell 9 @ 100.0
    1001 level bid 0 @ 100.0
    2000 level ask 4 @ 101.0
";

fn pair() -> Pair {
    Pair::new("BTC", "USDT")
}

#[test]
fn a_resting_order_waits_for_its_queue_and_its_owner_hears_of_it_later() {
    let mut connector = open(QUEUE, QueueModel::Conservative, 10, PaperOptions::default());
    assert!(connector.ready());
    assert_eq!(connector.display_name(), "Bitmart_PaperTrade");
    let id = connector.buy(&pair(), decimal("3"), OrderType::Limit, Some(decimal("100"))).unwrap();
    assert!(id.starts_with("buy://BTC-USDT/"));
    let state = |connector: &PaperConnector| connector.in_flight_order(&id).unwrap().current_state;
    assert_eq!(state(&connector), OrderState::PendingCreate);
    assert_eq!(connector.get_available_balance(&Asset::new("USDT")), decimal("10000"));

    connector.handle().lock().advance(Duration::from_millis(10)).unwrap();
    // The exchange has it; its owner does not know.
    assert_eq!(state(&connector), OrderState::PendingCreate);
    assert_eq!(connector.get_available_balance(&Asset::new("USDT")), decimal("10000"));
    connector.handle().lock().advance(Duration::from_millis(10)).unwrap();
    assert_eq!(state(&connector), OrderState::Open);
    assert_eq!(connector.get_available_balance(&Asset::new("USDT")), decimal("9699.4"));
    let book = connector.get_order_book(&pair(), 1, OwnOrders::With).unwrap();
    assert_eq!(book.bids, [(decimal("100"), decimal("11"))]);
    let book = connector.get_order_book(&pair(), 1, OwnOrders::Without).unwrap();
    assert_eq!(book.bids, [(decimal("100"), decimal("8"))]);

    connector.handle().lock().run().unwrap();
    let order = connector.in_flight_order(&id).unwrap();
    assert_eq!(
        (order.current_state, order.executed_amount_base),
        (OrderState::PartiallyFilled, decimal("1"))
    );
    assert_eq!(order.average_price(), Some(decimal("100")));
    assert_eq!(connector.get_balance(&Asset::new("BTC")), decimal("11"));
    assert_eq!(connector.get_balance(&Asset::new("USDT")), decimal("9899.9"));
    let names: Vec<&str> = connector.drain_events().iter().map(|event| event.body.name()).collect();
    let orders: Vec<&&str> = names.iter().filter(|name| **name != "BalanceEvent").collect();
    assert_eq!(orders, [&"BuyOrderCreatedEvent", &"OrderFilledEvent"]);

    let paper = connector.handle().lock();
    let known = paper.trader(SESSION).unwrap().order(1).unwrap();
    let life = paper.life(known.tag).unwrap();
    assert_eq!(life.ahead_at_join.map(Qty::units), Some(800));
    assert_eq!(life.printed_at_price.units(), 900);
    let told: Vec<&LifeEvent> = life.entries.iter().map(|entry| &entry.event).collect();
    assert!(matches!(told[..], [LifeEvent::Sent, LifeEvent::Accepted, LifeEvent::Filled(_)]), "{told:?}");
}

#[test]
fn time_stops_where_it_is_told_to() {
    let connector = open(QUEUE, QueueModel::Front, 10, PaperOptions::default());
    let mut paper = connector.handle().lock();
    assert_eq!((paper.now(), paper.messages()), (Timestamp::from_millis(0), 1));
    assert_eq!(paper.step(2).unwrap(), 2);
    assert_eq!(paper.now(), Timestamp::from_millis(1_000));
    assert_eq!(paper.advance(Duration::from_millis(500)).unwrap(), Stop::Reached);
    assert_eq!((paper.now(), paper.messages()), (Timestamp::from_millis(1_500), 4));
    assert_eq!(paper.step(5).unwrap(), 1);
    assert_eq!(paper.step(5).unwrap(), 0);
    assert_eq!(paper.advance(Duration::from_secs(1)).unwrap(), Stop::EndOfTape);
    assert!(paper.at_end());
    assert_eq!(paper.now(), Timestamp::from_millis(2_000));
}

#[test]
fn a_request_sees_every_message_up_to_its_arrival() {
    let mut connector = open(QUEUE, QueueModel::Front, 10, PaperOptions::default());
    connector.handle().lock().advance(Duration::from_millis(990)).unwrap();
    // Sent at 990, it arrives at 1000, after the trade of that instant: nothing is left to fill it.
    let id = connector.buy(&pair(), decimal("1"), OrderType::Limit, Some(decimal("100"))).unwrap();
    let tag = connector.handle().lock().last_tag();
    let stop = connector.handle().lock().run_until_answer(SESSION, tag).unwrap();
    assert_eq!((stop, connector.now()), (Stop::Reached, Timestamp::from_millis(1_010)));
    assert_eq!(connector.in_flight_order(&id).unwrap().executed_amount_base, Decimal::ZERO);
}

#[test]
fn a_market_order_walks_and_can_be_kept_back() {
    for (delay, done_at) in [(0, 20), (5_000, 5_020)] {
        let options = PaperOptions { market_delay: Duration::from_millis(delay), ..PaperOptions::default() };
        let mut connector = open(QUEUE, QueueModel::Front, 10, options);
        let id = connector.buy(&pair(), decimal("8"), OrderType::Market, None).unwrap();
        let stop = connector.handle().lock().run_until_done(SESSION, 1, Timestamp::MAX).unwrap();
        assert_eq!((stop, connector.now()), (Stop::Reached, Timestamp::from_millis(done_at)));
        let order = connector.in_flight_order(&id).unwrap();
        assert_eq!((order.current_state, order.order_fills.len()), (OrderState::Filled, 2));
        let percent = order.order_fills.values().next().unwrap().fee.percent;
        assert_eq!(percent, decimal("0.002"));
    }
}

#[test]
fn refusals_and_cancels_come_back_as_events() {
    let mut connector = open(QUEUE, QueueModel::Front, 10, PaperOptions::default());
    connector.buy(&pair(), decimal("1000"), OrderType::Limit, Some(decimal("100"))).unwrap();
    let open_one = connector.buy(&pair(), decimal("1"), OrderType::Limit, Some(decimal("99"))).unwrap();
    connector.handle().lock().advance(Duration::from_millis(30)).unwrap();
    let results = connector.cancel_all(Duration::from_secs(1)).unwrap();
    assert_eq!(results, [CancellationResult { order_id: open_one.clone(), success: true }]);
    assert_eq!(connector.in_flight_order(&open_one).unwrap().current_state, OrderState::Canceled);
    assert_eq!(connector.get_available_balance(&Asset::new("USDT")), decimal("10000"));
    let names: Vec<&str> = connector.drain_events().iter().map(|event| event.body.name()).collect();
    assert!(
        names.contains(&"MarketOrderFailureEvent") && names.contains(&"OrderCancelledEvent"),
        "{names:?}"
    );
    // Too late: the exchange says so and the order stays what it is.
    connector.cancel(&pair(), &open_one).unwrap();
    let mut paper = connector.handle().lock();
    let tag = paper.last_tag();
    paper.run_until_answer(SESSION, tag).unwrap();
    assert!(matches!(paper.take_answer(SESSION, tag), Some(crate::sim::OrderEvent::Rejected(_))));
    assert_eq!(paper.trader(SESSION).unwrap().order(2).unwrap().order.current_state, OrderState::Canceled);
}

#[test]
fn depth_is_asked_by_volume_and_by_price() {
    let connector = open(QUEUE, QueueModel::Front, 10, PaperOptions::default());
    let pair = pair();
    let result = |query: Result<QueryResult, ConnectorError>| {
        let query = query.unwrap();
        (query.result_price.unwrap(), query.result_volume.unwrap())
    };
    let both = |price: &str, volume: &str| (decimal(price), decimal(volume));
    assert_eq!(connector.get_mid_price(&pair).unwrap(), Some(decimal("100.5")));
    assert_eq!(connector.get_price(&pair, true).unwrap(), Some(decimal("101")));
    assert_eq!(result(connector.get_price_for_volume(&pair, true, decimal("6"))), both("102", "6"));
    assert_eq!(result(connector.get_price_for_volume(&pair, false, decimal("100"))), both("99", "13"));
    let vwap = connector.get_vwap_for_volume(&pair, true, decimal("10")).unwrap();
    assert_eq!(vwap.result_price, Some(decimal("101.5")));
    assert_eq!(result(connector.get_price_for_quote_volume(&pair, true, decimal("505"))), both("101", "505"));
    assert_eq!(result(connector.get_volume_for_price(&pair, true, decimal("101.55"))), both("101", "5"));
    assert_eq!(result(connector.get_volume_for_price(&pair, false, decimal("99.05"))), both("100", "8"));
    assert_eq!(
        result(connector.get_quote_volume_for_price(&pair, true, decimal("102"))),
        both("102", "1219")
    );
    let cost = connector.get_quote_volume_for_base_amount(&pair, true, decimal("6")).unwrap();
    assert_eq!(cost.result_volume, Some(decimal("607")));
    assert_eq!(connector.quantize_order_price(&pair, decimal("100.19")).unwrap(), decimal("100.1"));
    assert_eq!(connector.quantize_order_amount(&pair, decimal("0.129")).unwrap(), decimal("0.12"));
    let other = Pair::new("ETH", "USDT");
    let error = connector.get_price(&other, true).unwrap_err();
    assert_eq!(error.to_string(), "No order book exists for 'ETH-USDT'.");
}

#[test]
fn the_same_session_gives_the_same_ids_and_balances() {
    let session = || {
        let mut connector = open(QUEUE, QueueModel::Front, 7, PaperOptions::default());
        connector.buy(&pair(), decimal("2"), OrderType::Limit, Some(decimal("100"))).unwrap();
        connector.sell(&pair(), decimal("1"), OrderType::Market, None).unwrap();
        connector.handle().lock().run().unwrap();
        let events = connector.drain_events();
        let hash = connector.handle().lock().sim().state_hash();
        (events, connector.get_all_balances(), hash)
    };
    assert_eq!(session(), session());
}
