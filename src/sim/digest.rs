//! The state hash: which facts of a simulation it covers, and in which order.
//!
//! An engine tells its state in the order of the methods below; two engines that tell the same facts have the same
//! hash, however they keep them. Not told: client order ids, host time, file names, row numbers.

use xxhash_rust::xxh3::Xxh3;

use crate::market::{Price, Qty, Side, Timestamp};
use crate::order::{AccountId, Money, OrderId};

/// A hash over facts told one after another.
///
/// Order of telling: `clock`; then for each instrument in order `market`, its book levels (bids best first, then
/// asks), its taken levels (bids, then asks, by ascending price), its live orders (bids best price first and in
/// queue order, then asks); then waiting orders by id; then accounts ascending with each asset ascending and
/// the positions by market; then `counters` and `generator`.
pub struct Digest(Xxh3);

impl Default for Digest {
    fn default() -> Self {
        Self(Xxh3::new())
    }
}

/// A live or waiting order as the hash sees it.
#[derive(Clone, Copy, Debug)]
pub struct OrderFact {
    /// Its number.
    pub id: OrderId,
    /// Whose.
    pub account: AccountId,
    /// Its limit; `None` for waiting market orders.
    pub price: Option<Price>,
    /// The whole amount.
    pub qty: Qty,
    /// What has filled.
    pub filled: Qty,
    /// Its place in 1/1024 lot; `None`: unknown.
    pub ahead: Option<i64>,
}

impl Digest {
    fn word(&mut self, value: i64) {
        self.0.update(&value.to_le_bytes());
    }

    fn wide(&mut self, value: i128) {
        self.0.update(&value.to_le_bytes());
    }

    /// The time.
    pub fn clock(&mut self, now: Timestamp) {
        self.word(now.nanos());
    }

    /// One instrument begins.
    pub fn market(&mut self, trusted: bool, trading: bool) {
        self.word(i64::from(trusted) | i64::from(trading) << 1);
    }

    /// A level of the tape's book.
    pub fn level(&mut self, side: Side, price: Price, qty: Qty) {
        [1, side as i64, price.units(), qty.units()].into_iter().for_each(|v| self.word(v));
    }

    /// What paper orders took of a level.
    pub fn taken(&mut self, side: Side, price: Price, qty: Qty) {
        [2, side as i64, price.units(), qty.units()].into_iter().for_each(|v| self.word(v));
    }

    /// A live or waiting order.
    pub fn order(&mut self, side: Side, order: &OrderFact) {
        self.word(3);
        self.word(side as i64);
        self.word(order.id.0.cast_signed());
        self.word(i64::from(order.account.0));
        self.word(order.price.map_or(i64::MIN, Price::units));
        self.word(order.qty.units());
        self.word(order.filled.units());
        self.word(order.ahead.unwrap_or(-1));
    }

    /// A balance.
    pub fn balance(&mut self, account: AccountId, asset: u16, total: Money, held: Money) {
        self.word(4);
        self.word(i64::from(account.0));
        self.word(i64::from(asset));
        self.wide(total.0);
        self.wide(held.0);
    }

    /// A position: market, leg, contracts, cost and what is put aside. Flat ones are not told.
    pub fn position(
        &mut self,
        account: AccountId,
        market: u32,
        leg: usize,
        qty: Qty,
        cost: Money,
        margin: Money,
    ) {
        self.word(5);
        [i64::from(account.0), i64::from(market), leg as i64, qty.units()]
            .into_iter()
            .for_each(|v| self.word(v));
        self.wide(cost.0);
        self.wide(margin.0);
    }

    /// The numbers given out so far: orders, fills, transactions.
    pub fn counters(&mut self, orders: u64, fills: u64, transactions: u64) {
        [orders, fills, transactions].into_iter().for_each(|v| self.word(v.cast_signed()));
    }

    /// How far the generator has gone.
    pub fn generator(&mut self, words: u128) {
        self.wide(words.cast_signed());
    }

    /// The hash.
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }
}
