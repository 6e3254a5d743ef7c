//! What goes into the simulated exchange and what comes out.

use serde::{Deserialize, Serialize};

use crate::market::{FinePrice, FundingRate, Group, InstrumentId, Price, Qty, Side, Timestamp};
use crate::order::{
    AccountId, Callback, CancelReason, ClientOrderId, Evidence, FillId, FillRule, Leverage, Liquidity,
    MarginMode, Money, NewOrder, OrderId, OrderKind, OrderRef, OrderSize, OrderStatus, Peg, PositionEffect,
    PositionMode, PositionSide, RejectReason, SessionId, SpecialAmend, SpecialOrder, TimeInForce, Trail,
    Trigger,
};

/// One input of [`SimulatedExchange::apply`](super::SimulatedExchange::apply).
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The market moved. The time of `apply` is the group's play time.
    Market(Group<'a>),
    /// A client sends a request *now*; it arrives after the entry latency of its session.
    Request(Request),
    /// Nothing but the passing of time: every group up to now has been given, what is due happens.
    Advance,
    /// The owner of the simulation changes an account. It happens at once.
    Admin(Admin),
}

/// A request with the connection it comes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The connection.
    pub session: SessionId,
    /// Whose orders and money it is about.
    pub account: AccountId,
    /// Chosen by the sender, given back with the answer.
    pub tag: u64,
    /// What is asked.
    pub body: RequestBody,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestBody {
    /// A new order.
    Place(NewOrder),
    /// A new order with what few orders ask for.
    PlaceSpecial(Box<SpecialOrder>),
    /// Another trigger, distance or offset for an order that has one, with another price or amount.
    AmendSpecial(Box<SpecialAmend>),
    /// The end of one order.
    Cancel(OrderRef),
    /// The end of all live orders of the account, of one instrument or of all.
    CancelAll {
        /// Only of this one.
        instrument: Option<InstrumentId>,
    },
    /// Another price or amount for a resting order; `None` keeps what it has. `qty` is the whole amount, what has
    /// filled included.
    Amend {
        /// Which order.
        order: OrderRef,
        /// The new limit.
        price: Option<Price>,
        /// The new whole amount.
        qty: Option<Qty>,
    },
    /// Another setting of the account's positions in a contract.
    Set {
        /// Which contract.
        instrument: InstrumentId,
        /// What to set.
        setting: Setting,
    },
}

impl RequestBody {
    /// The new order that it asks for.
    pub fn order(&self) -> Option<&NewOrder> {
        match self {
            Self::Place(order) => Some(order),
            Self::PlaceSpecial(special) => Some(&special.order),
            Self::Cancel(_)
            | Self::CancelAll { .. }
            | Self::Amend { .. }
            | Self::AmendSpecial(_)
            | Self::Set { .. } => None,
        }
    }

    /// The order that it asks to change.
    pub fn amended(&self) -> Option<&OrderRef> {
        match self {
            Self::Amend { order, .. } => Some(order),
            Self::AmendSpecial(change) => Some(&change.order),
            _ => None,
        }
    }
}

/// What an account may set about its positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The leverage of positions of one side, or of both.
    Leverage {
        /// Of longs or of shorts; `None`: both.
        side: Option<Side>,
        /// How many times.
        leverage: Leverage,
    },
    /// What stands behind a position.
    Margin(MarginMode),
    /// How many positions there are; of all contracts, where the venue has one mode for the account.
    Position(PositionMode),
    /// Moves so much from what is available to an isolated position, or back where negative. In the settlement
    /// currency's smallest unit.
    Move {
        /// To which position.
        side: PositionSide,
        /// How much.
        amount: Money,
    },
}

/// What the owner of the simulation may do to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    /// Opens an account with nothing in it; opening one that is there does nothing.
    OpenAccount(AccountId),
    /// Money comes in from `@deposits` (goes out where negative; never below what is held).
    Deposit {
        /// Whose.
        account: AccountId,
        /// Index of the asset in the run's list.
        asset: u16,
        /// How much, in the asset's smallest unit.
        amount: Money,
    },
    /// Cancels everything an account has open, as `SessionEnded`.
    EndSession(AccountId),
    /// An account's positions end at what they cost: nobody gains, and what was put aside for them is free.
    Flatten(AccountId),
    /// An account goes on with a position of an earlier session; nothing happens where it cannot be one.
    Hold(Box<KeptPosition>),
}

/// A position of an earlier session. Money is in the settlement currency's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPosition {
    /// Whose.
    pub account: AccountId,
    /// In what.
    pub instrument: InstrumentId,
    /// Which of the account's positions in it; the account's mode follows from it.
    pub side: PositionSide,
    /// Contracts, negative for shorts; not zero.
    pub qty: Qty,
    /// What they cost, signed as [`PositionState::cost`] is.
    pub cost: Money,
    /// What was put aside for it (isolated); as much of it as is available is put aside again.
    pub assigned: Money,
    /// What closing gained, fees paid and funding paid since it was last flat.
    pub realised: Money,
    /// See there.
    pub fees: Money,
    /// See there.
    pub funding: Money,
    /// What stands behind it.
    pub margin: MarginMode,
    /// How many times its margin it may be worth.
    pub leverage: Leverage,
}

/// What the exchange says. Handed on at once and forgotten: closed orders, fills and ledger rows leave memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// When it happened at the exchange.
    pub at: Timestamp,
    /// When its receiver knows: `at` plus the response latency of the session. Never earlier than the one before it.
    pub deliver_at: Timestamp,
    /// What happened.
    pub body: UpdateBody,
}

/// Appends an update that is built where it goes: it is two hundred bytes, and there are several to an order.
#[inline(always)]
pub(crate) fn hand_on(updates: &mut Vec<Update>, update: impl FnOnce() -> Update) {
    updates.extend(std::iter::once_with(update));
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateBody {
    /// An order changed state or a request was answered.
    Order(OrderUpdate),
    /// An order filled, in part or whole. The order update follows.
    Fill(Fill),
    /// A row of the ledger.
    Ledger(LedgerEntry),
    /// A print that paper orders made: it is public, beside the tape's own prints.
    PublicTrade(PublicTrade),
    /// A position changed: by a fill, funding, a setting or a liquidation. The fill or the rest comes before it.
    Position(Box<PositionState>),
    /// Funding was paid or received.
    Funding(Box<FundingPayment>),
    /// A position, or a part of it, was liquidated.
    Liquidation(Box<Liquidation>),
}

/// What the answer or the event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// The order is live (or waits for its trigger).
    Accepted,
    /// The request is refused; state is unchanged. For a `Place` the order never was.
    Rejected(RejectReason),
    /// A waiting order was woken.
    Triggered,
    /// A fill changed it; see the [`Fill`] before.
    Filled,
    /// It ended.
    Cancelled(CancelReason),
    /// It was amended; the flag says whether it kept its place in the queue.
    Amended {
        /// Whether it kept its place.
        kept_place: bool,
    },
    /// It waits at the door: the book cannot be believed at the moment.
    AtTheDoor,
    /// A request about orders (cancel, cancel all) was carried out; the orders' own updates came before, with their
    /// states.
    Done,
}

/// The state of one order after an event.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderUpdate {
    /// The connection that asked, for answers and for the orders it placed.
    pub session: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The tag of the request that this answers; 0 where it answers none.
    pub tag: u64,
    /// What happened.
    pub event: OrderEvent,
    /// The order; `None` where the request named none that exists, and for `Done`.
    pub order: Option<OrderState>,
}

/// An order as the exchange shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderState {
    /// The exchange's number; 0 for an order that was refused.
    pub id: OrderId,
    /// The client's own id.
    pub client_id: Option<ClientOrderId>,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book.
    pub kind: OrderKind,
    /// How long it lives.
    pub tif: TimeInForce,
    /// Its limit.
    pub price: Option<Price>,
    /// The whole amount; zero while a quote-sized order has not taken.
    pub qty: Qty,
    /// What has filled.
    pub filled: Qty,
    /// What the fills cost in quote, in its smallest unit.
    pub filled_quote: Money,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// Market volume ahead of it in its queue, rounded up to the lot; `None` where it does not rest or the queue
    /// is unknown.
    pub ahead: Option<Qty>,
    /// When it was sent.
    pub created: Timestamp,
    /// When it reached the exchange.
    pub arrived: Timestamp,
    /// What few orders have; kept apart, for a state is copied with each thing that happens to an order.
    pub extra: Option<Box<Extra>>,
}

/// What few orders have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// What it waits or waited for.
    pub trigger: Option<Trigger>,
    /// The quote amount of a quote-sized order.
    pub quote_qty: Option<Money>,
    /// When a good-till-date order ends.
    pub expires: Option<Timestamp>,
    /// What it does to a position.
    #[serde(default)]
    pub effect: PositionEffect,
    /// How much of it is shown at a time.
    #[serde(default)]
    pub display: Option<Qty>,
    /// What of its amount is hidden behind that.
    #[serde(default)]
    pub hidden: Qty,
    /// How its trigger follows the market, or followed it before it woke.
    #[serde(default)]
    pub follows: Option<Following>,
    /// How its trigger is set once the market is where it waits for it.
    #[serde(default)]
    pub callback: Option<Calling>,
    /// What its limit was set from.
    #[serde(default)]
    pub peg: Option<Peg>,
    /// Whether it closes the whole position, however large that is when it wakes.
    #[serde(default)]
    pub whole: bool,
}

/// A trigger that follows the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// How.
    pub trail: Trail,
    /// The price that it looked at when it was set last.
    pub reference: FinePrice,
    /// When that was.
    pub at: Timestamp,
}

/// A trigger that a share of the price sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calling {
    /// How.
    pub callback: Callback,
    /// The price that it waits or waited for first.
    pub activation: Price,
    /// The best price since that was reached; `None`: it has not been.
    pub best: Option<FinePrice>,
}

impl Extra {
    /// What few orders have, of a new one.
    pub fn of(order: &NewOrder) -> Option<Box<Self>> {
        let quote_qty = match order.size {
            OrderSize::Quote(amount) => Some(amount),
            OrderSize::Qty(_) => None,
        };
        let expires = match order.tif {
            TimeInForce::Gtd(time) => Some(time),
            _ => None,
        };
        let effect = order.effect;
        let any = order.trigger.is_some() || quote_qty.is_some() || expires.is_some();
        let any = any || effect != PositionEffect::Net;
        any.then(|| Box::new(Self { trigger: order.trigger, quote_qty, expires, effect, ..Self::default() }))
    }

    /// Whether the market leads its trigger.
    pub fn is_led(&self) -> bool {
        self.follows.is_some() || self.callback.is_some()
    }
}

impl OrderState {
    /// What it waits or waited for.
    pub fn trigger(&self) -> Option<Trigger> {
        self.extra.as_ref().and_then(|extra| extra.trigger)
    }

    /// The quote amount of a quote-sized order.
    pub fn quote_qty(&self) -> Option<Money> {
        self.extra.as_ref().and_then(|extra| extra.quote_qty)
    }

    /// What it does to a position.
    pub fn effect(&self) -> PositionEffect {
        self.extra.as_ref().map_or(PositionEffect::Net, |extra| extra.effect)
    }
}

/// Where a mark price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkSource {
    /// The tape's own mark price.
    Tape,
    /// A mark price that was recorded beside the tape, less than a minute ago.
    Beside,
    /// The index price, for the tape has no mark price.
    Index,
    /// The middle of the book through a 30 s exponential mean, for the tape has neither.
    Mid,
}

impl MarkSource {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Tape => "mark price of the tape",
            Self::Beside => "mark price recorded beside the tape",
            Self::Index => "index price",
            Self::Mid => "smoothed mid of the book",
        }
    }
}

/// A position as the exchange shows it. Money is in the settlement currency's smallest unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PositionState {
    /// Whose.
    pub account: AccountId,
    /// In what.
    pub instrument: InstrumentId,
    /// Which of the account's positions in it.
    pub side: PositionSide,
    /// Contracts, negative for shorts; zero where there is none.
    pub qty: Qty,
    /// What they cost: positive for longs, negative for shorts; the other way round where the contract is inverse. In
    /// quote, with the settlement currency's decimals, where it settles through an index price.
    pub cost: Money,
    /// The average entry price.
    pub entry: Option<FinePrice>,
    /// The mark price.
    pub mark: Option<FinePrice>,
    /// Where the mark price comes from.
    pub mark_source: Option<MarkSource>,
    /// What it is worth at the mark price, without a sign.
    pub value: Money,
    /// What it has gained at the mark price.
    pub unrealised: Money,
    /// What closing has gained since it was last flat, fees and funding not counted.
    pub realised: Money,
    /// Fees paid since then.
    pub fees: Money,
    /// Funding paid since then, negative where received.
    pub funding: Money,
    /// Index of the settlement currency in the run's list of assets.
    pub settle: u16,
    /// What stands behind it.
    pub margin: MarginMode,
    /// How many times its margin it may be worth.
    pub leverage: Leverage,
    /// Isolated: what is put aside for it. Cross: what it takes from what is available.
    pub assigned: Money,
    /// What must be left of its margin.
    pub maintenance: Money,
    /// The mark price at which it is liquidated; `None`: none does it.
    pub liquidation: Option<FinePrice>,
    /// The price at which all that stands behind it is lost.
    pub bankruptcy: Option<FinePrice>,
}

/// One payment of funding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingPayment {
    /// Whose.
    pub account: AccountId,
    /// For which contract.
    pub instrument: InstrumentId,
    /// For which position.
    pub side: PositionSide,
    /// Contracts, negative for shorts.
    pub qty: Qty,
    /// The mark price that it was reckoned at.
    pub mark: FinePrice,
    /// The rate: positive where longs pay.
    pub rate: FundingRate,
    /// What was received, negative where paid, in the settlement currency's smallest unit.
    pub amount: Money,
    /// Index of the settlement currency.
    pub settle: u16,
}

/// A position was taken over at its bankruptcy price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liquidation {
    /// Whose.
    pub account: AccountId,
    /// In what.
    pub instrument: InstrumentId,
    /// Which position.
    pub side: PositionSide,
    /// Contracts that were taken over, negative for a short.
    pub qty: Qty,
    /// The mark price that called for it.
    pub mark: FinePrice,
    /// The price of the taking over.
    pub price: Option<FinePrice>,
    /// What the account got, negative where it lost, in the settlement currency's smallest unit.
    pub amount: Money,
    /// What the insurance fund got, negative where it paid.
    pub insurance: Money,
    /// Index of the settlement currency.
    pub settle: u16,
}

/// One fill of one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    /// Its number.
    pub id: FillId,
    /// The order.
    pub order: OrderId,
    /// Whose.
    pub account: AccountId,
    /// The connection that placed the order.
    pub session: SessionId,
    /// What was traded.
    pub instrument: InstrumentId,
    /// The order's side.
    pub side: Side,
    /// At what price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// Price × quantity in quote, in its smallest unit.
    pub quote: Money,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// The fee, positive where it is paid, in `fee_asset`'s smallest unit.
    pub fee: Money,
    /// Index of the fee's asset in the run's list.
    pub fee_asset: u16,
    /// The rule that made it.
    pub rule: FillRule,
    /// What bears it out.
    pub evidence: Evidence,
    /// The exchange time of the tape's event, or of the taking.
    pub event_time: Timestamp,
    /// Market volume that was ahead of the order before the event, rounded up to the lot; `None` where unknown or
    /// where no queue was involved.
    pub ahead_before: Option<Qty>,
    /// What it did to a position; `None` on spot.
    pub position: Option<Box<PositionFill>>,
}

/// What a fill did to a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionFill {
    /// To which.
    pub side: PositionSide,
    /// What the order was to do.
    pub effect: PositionEffect,
    /// How much of the fill closed; the rest opened.
    pub closed: Qty,
    /// The value of the fill, in the settlement currency's smallest unit.
    pub value: Money,
    /// What closing gained.
    pub realised: Money,
    /// Index of the settlement currency.
    pub settle: u16,
}

/// What moved money or a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Money came in or went out.
    Deposit,
    /// A hold was made or changed for an order.
    Hold,
    /// A hold came back.
    Release,
    /// Two assets changed hands.
    Trade,
    /// A trading fee or rebate.
    Fee,
    /// What rounding left.
    Rounding,
    /// What closing contracts gained or lost.
    RealisedPnl,
    /// Funding paid or received.
    Funding,
    /// Margin was put aside for an isolated position, or came back.
    Margin,
    /// A position was liquidated.
    Liquidation,
}

impl Cause {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Trade => "trade",
            Self::Fee => "fee",
            Self::Rounding => "rounding",
            Self::RealisedPnl => "realised_pnl",
            Self::Funding => "funding",
            Self::Margin => "margin",
            Self::Liquidation => "liquidation",
        }
    }
}

/// Whose balance a ledger row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A paper account.
    Account(AccountId),
    /// `@market`: the other side of every trade with the tape, and what rounding leaves.
    Market,
    /// `@fees`.
    Fees,
    /// `@funding`.
    Funding,
    /// `@insurance`.
    Insurance,
    /// `@deposits`.
    Deposits,
}

/// One row of the double-entry ledger. The amounts of one transaction sum to zero per asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its number, from 1.
    pub entry: u64,
    /// The transaction it belongs to, from 1.
    pub transaction: u64,
    /// Whose balance.
    pub owner: Owner,
    /// Index of the asset in the run's list.
    pub asset: u16,
    /// What the balance changed by.
    pub amount: Money,
    /// The balance after.
    pub balance_after: Money,
    /// What the hold changed by.
    pub hold_amount: Money,
    /// The hold after.
    pub hold_after: Money,
    /// Why.
    pub cause: Cause,
    /// For which order; 0 for none.
    pub order: OrderId,
    /// For which fill; 0 for none.
    pub fill: FillId,
    /// Of which instrument; `None` for deposits.
    pub instrument: Option<InstrumentId>,
}

/// A print that paper orders made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicTrade {
    /// What was traded.
    pub instrument: InstrumentId,
    /// The taker's side.
    pub aggressor: Side,
    /// At what price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
}
