//! The words of trading: what an order asks, what became of it, and why.
//!
//! Never here: what makes an order fill (that is `sim`), a venue's spelling (that is its own folder).
//! Start at [`NewOrder`] and [`OrderStatus`].

mod reason;

pub use reason::{CancelReason, RejectReason};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::market::{InstrumentId, Price, Qty, Side, Timestamp};

/// An amount of one asset in its smallest unit, as the ledger counts it. In JSON it is a string: 128 bits do not
/// survive every reader's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i128);

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whether it is exactly nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl std::ops::AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl std::ops::SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, |sum, money| sum + money)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// The exchange's number of an order: 1, 2, 3 … in the order of arrival.
    OrderId(u64)
);
id!(
    /// The number of a paper account; all its keys and sessions share it.
    AccountId(u32)
);
id!(
    /// The number of a connection: its requests arrive, and its answers come back, in order.
    SessionId(u32)
);
id!(
    /// The number of a fill: 1, 2, 3 … over all accounts. A trade between two paper orders is two fills.
    FillId(u64)
);

/// The id that a client gave its order.
pub type ClientOrderId = SmolStr;

/// How an order meets the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Takes what crosses its price; the rest joins the book.
    Limit,
    /// Joins the book or is refused: it never takes.
    LimitMaker,
    /// Takes at any price; never joins.
    Market,
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until it is filled or cancelled.
    #[default]
    Gtc,
    /// It takes what is there at arrival; the rest is cancelled.
    Ioc,
    /// It takes all at arrival, or nothing.
    Fok,
    /// Until a time.
    Gtd(Timestamp),
}

/// How much an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderSize {
    /// So much, in the instrument's quantity unit.
    Qty(Qty),
    /// A market buy that spends so much quote (in the quote asset's smallest unit), fee not included.
    Quote(Money),
}

/// Which price wakes a waiting order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerBy {
    /// The last public print.
    #[default]
    Last,
    /// The mark price.
    Mark,
    /// The index price.
    Index,
    /// The last public print, where it is no further from the mark price than the venue allows: a print that strays does
    /// not wake it.
    LastNearMark,
}

impl TriggerBy {
    /// The price that it looks at, however far that may stray.
    #[must_use]
    pub const fn looks_at(self) -> Self {
        match self {
            Self::Last | Self::LastNearMark => Self::Last,
            other => other,
        }
    }
}

/// From which side a waiting order's price must be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// The market moves against us: a buy wakes at or above, a sell at or below.
    Stop,
    /// The market moves for us: a buy wakes at or below, a sell at or above.
    TakeProfit,
}

/// What makes a waiting order become a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trigger {
    /// From which side.
    pub kind: TriggerKind,
    /// The price to reach.
    pub price: Price,
    /// Which price must reach it.
    pub by: TriggerBy,
}

impl Trigger {
    /// Whether `price` wakes an order of `side`.
    pub fn is_met(self, side: Side, price: Price) -> bool {
        if self.rises(side) { price >= self.price } else { price <= self.price }
    }

    /// Whether the price must rise to wake an order of `side`.
    pub fn rises(self, side: Side) -> bool {
        (side == Side::Buy) == (self.kind == TriggerKind::Stop)
    }
}

/// What happens where an account would trade with itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTrade {
    /// It trades, and pays both fees.
    #[default]
    None,
    /// The rest of the arriving order is cancelled.
    CancelTaker,
    /// The resting order is cancelled; the arriving one goes on.
    CancelMaker,
    /// Both are cancelled.
    CancelBoth,
}

/// What an order does to a position. Spot has none and ignores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionEffect {
    /// Whatever it comes to: a buy adds to the one net position, a sell takes from it. Refused in hedge mode.
    #[default]
    Net,
    /// It opens: in hedge mode a buy adds to the long position, a sell to the short one.
    Open,
    /// It only takes away (reduce-only): in hedge mode a sell from the long position, a buy from the short one.
    Close,
}

/// How many positions an account has in one contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionMode {
    /// One net position.
    #[default]
    OneWay,
    /// A long and a short one, side by side.
    Hedge,
}

impl PositionMode {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneWay => "one_way",
            Self::Hedge => "hedge",
        }
    }
}

/// Which of an account's positions in a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionSide {
    /// The one net position.
    Net,
    /// The long one (hedge mode).
    Long,
    /// The short one (hedge mode).
    Short,
}

impl PositionSide {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "both",
            Self::Long => "long",
            Self::Short => "short",
        }
    }
}

/// What stands behind a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarginMode {
    /// All of the settlement currency that is free, shared by all cross positions.
    #[default]
    Cross,
    /// What was put aside for it, and no more.
    Isolated,
}

impl MarginMode {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::Isolated => "isolated",
        }
    }
}

/// How many times its margin a position may be worth, in hundredths: 10x is `Leverage(1_000)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leverage(pub u32);

impl Leverage {
    /// So many times.
    pub const fn times(times: u32) -> Self {
        Self(times * 100)
    }

    /// Reads a decimal with at most two decimals, from 0.01 to 10,000.
    pub fn from_decimal(times: rust_decimal::Decimal) -> Option<Self> {
        let units = crate::market::decimal::units_of(times, 2)?;
        u32::try_from(units).ok().filter(|units| (1..=1_000_000).contains(units)).map(Self)
    }

    /// As a decimal.
    pub fn to_decimal(self) -> rust_decimal::Decimal {
        rust_decimal::Decimal::new(i64::from(self.0), 2).normalize()
    }
}

impl std::fmt::Display for Leverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_decimal().fmt(f)
    }
}

/// What a client asks the exchange to do for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// What to trade.
    pub instrument: InstrumentId,
    /// The client's own id.
    pub client_id: Option<ClientOrderId>,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book.
    pub kind: OrderKind,
    /// How much.
    pub size: OrderSize,
    /// Its limit; `None` for market orders.
    pub price: Option<Price>,
    /// How long it lives.
    pub tif: TimeInForce,
    /// What it waits for before it becomes live.
    pub trigger: Option<Trigger>,
    /// What happens where it meets its own account; `None`: the venue's default.
    pub self_trade: Option<SelfTrade>,
    /// What it does to a position.
    #[serde(default)]
    pub effect: PositionEffect,
}

impl NewOrder {
    /// A good-till-cancelled limit order.
    pub fn limit(instrument: InstrumentId, side: Side, qty: Qty, price: Price) -> Self {
        Self {
            instrument,
            client_id: None,
            side,
            kind: OrderKind::Limit,
            size: OrderSize::Qty(qty),
            price: Some(price),
            tif: TimeInForce::Gtc,
            trigger: None,
            self_trade: None,
            effect: PositionEffect::Net,
        }
    }

    /// A market order.
    pub fn market(instrument: InstrumentId, side: Side, qty: Qty) -> Self {
        let limit = Self::limit(instrument, side, qty, Price::from_units(0));
        Self { kind: OrderKind::Market, price: None, tif: TimeInForce::Ioc, ..limit }
    }
}

/// An order with what few orders ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialOrder {
    /// The order itself.
    pub order: NewOrder,
    /// It shows so much of itself, the rest is hidden: when that has filled, as much again joins the back of the queue.
    #[serde(default)]
    pub display: Option<Qty>,
    /// Its trigger follows the market.
    #[serde(default)]
    pub trail: Option<Trail>,
    /// It closes the whole position, however large that is; the order's own amount does not count.
    #[serde(default)]
    pub whole: bool,
    /// It waits for a price, and from there on for the market to turn.
    #[serde(default)]
    pub callback: Option<Callback>,
    /// Its limit is where the market is when it arrives, so far away; the order's own limit does not count.
    #[serde(default)]
    pub peg: Option<Peg>,
}

impl SpecialOrder {
    /// An order that asks for nothing special yet.
    pub fn new(order: NewOrder) -> Self {
        Self { order, display: None, trail: None, whole: false, callback: None, peg: None }
    }

    /// Whether it asks for nothing special.
    pub fn is_plain(&self) -> bool {
        self.display.is_none()
            && self.trail.is_none()
            && !self.whole
            && self.callback.is_none()
            && self.peg.is_none()
    }
}

/// A trigger that is set by a share of the price, once the price in the order's trigger has been reached: it follows the
/// market from there and wakes the order when the market turns back by that share. A sell waits for a rise first, a buy
/// for a fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// By how much it must turn, in millionths of the best price since then: 1 % is 10,000.
    pub share: u32,
    /// The price that it waited for in an earlier session, where that was reached then: it begins anew, at once, and this
    /// is shown.
    #[serde(default)]
    pub begun: Option<Price>,
}

impl Callback {
    /// One that has not begun.
    pub const fn new(share: u32) -> Self {
        Self { share, begun: None }
    }
}

/// A limit that is set once, from where the market is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peg {
    /// From which price.
    pub to: PegTo,
    /// So far above it; below it where negative.
    pub offset: Price,
}

/// The price that a pegged limit is set from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PegTo {
    /// The best price of the order's own side.
    Own,
    /// The best price of the other side.
    Far,
    /// The middle of the two; between two ticks the one that is further from the other side.
    Mid,
    /// The last public print.
    Last,
}

/// A change of an order beyond its price and amount; `None` keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialAmend {
    /// Which order.
    pub order: OrderRef,
    /// The new limit.
    pub price: Option<Price>,
    /// The new whole amount, what has filled and what is hidden included.
    pub qty: Option<Qty>,
    /// The price that it waits for.
    pub trigger: Option<Price>,
    /// How far behind the market its trigger is, for one that follows it.
    pub distance: Option<Price>,
    /// How far from the market its limit is set anew, for a pegged one.
    pub offset: Option<Price>,
}

/// A trigger that follows the market: up where it would be met by a fall, down where by a rise, and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// How far behind the price that the trigger looks at; more than zero.
    pub distance: Price,
}

/// How an order is named by its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderRef {
    /// By the exchange's number.
    Id(OrderId),
    /// By the client's own id, among the account's live orders.
    Client(ClientOrderId),
}

/// Where an order is in its life, as its exchange sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// It waits for its trigger.
    Waiting,
    /// It is live and nothing has filled.
    Open,
    /// It is live and part of it has filled.
    PartiallyFilled,
    /// All of it has filled.
    Filled,
    /// It was ended before all of it filled.
    Cancelled,
    /// It never was.
    Rejected,
}

impl OrderStatus {
    /// Whether nothing more will happen to it.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected)
    }

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::PartiallyFilled => "partially_filled",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}

/// Who was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liquidity {
    /// The order rested.
    Maker,
    /// The order came.
    Taker,
}

impl Liquidity {
    /// `maker` or `taker`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Taker => "taker",
        }
    }
}

/// The rule of `docs/fills.md` that made a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillRule {
    /// A print went through the order's price.
    PrintThrough,
    /// A print at the order's price reached it in the queue.
    PrintAtPrice,
    /// The tape's book crossed the order's price.
    CrossingBook,
    /// The order took liquidity on arrival.
    Taking,
    /// Another paper order took it.
    PaperTaker,
}

impl FillRule {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrintThrough => "print_through",
            Self::PrintAtPrice => "print_at_price",
            Self::CrossingBook => "crossing_book",
            Self::Taking => "taking",
            Self::PaperTaker => "paper_taker",
        }
    }
}

/// What on the tape bears a fill out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// A public trade.
    Print,
    /// A shown opposite level at or through the order's price.
    Cross,
    /// Shown liquidity that the order took.
    Book,
    /// Another paper order.
    Paper,
    /// A source too thin for more (candles, prints without a book).
    Thin,
}

impl Evidence {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Print => "print",
            Self::Cross => "cross",
            Self::Book => "book",
            Self::Paper => "paper",
            Self::Thin => "thin",
        }
    }
}
