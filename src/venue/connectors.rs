//! The names that users type: one line a connector.

use serde_json::json;

use super::{Venue, VenueError, venue};
use crate::sim::{FeeSchedule, Rate};

/// Where a connector's orders go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Into a simulated exchange.
    Paper,
    /// To the exchange's own test environment.
    Testnet,
}

impl Mode {
    /// `paper` or `testnet`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Testnet => "testnet",
        }
    }
}

/// Whether a connector can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works.
    Ready,
    /// Its name is reserved; using it is answered with a clear error.
    Planned,
}

impl Status {
    /// `ready` or `planned`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Planned => "planned",
        }
    }
}

/// One connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connector {
    /// What users type.
    pub name: &'static str,
    /// The exchange, as in [`Venue::name`].
    pub exchange: &'static str,
    /// What can be traded: `spot`, `perpetual`.
    pub products: &'static [&'static str],
    /// Where its orders go.
    pub mode: Mode,
    /// The kinds of orders that it takes.
    pub order_types: &'static [&'static str],
    /// The position modes that it knows; none on spot.
    pub position_modes: &'static [&'static str],
    /// The maker's rate where nothing nearer says otherwise.
    pub maker: Rate,
    /// The taker's rate where nothing nearer says otherwise.
    pub taker: Rate,
    /// Whether it can be used.
    pub status: Status,
}

const SPOT: &[&str] = &["spot"];
const PERPETUAL: &[&str] = &["perpetual"];
const ORDER_TYPES: &[&str] = &["limit", "limit_maker", "market"];
const NO_MODES: &[&str] = &[];
const ONE_WAY: &[&str] = &["one_way"];
const BOTH_MODES: &[&str] = &["one_way", "hedge"];

/// Where the rates of this table come from.
pub const FEE_SOURCE: &str = "built-in table";

/// The line of a connector; rates in units of 10^-4 (basis points).
const fn line(
    name: &'static str,
    exchange: &'static str,
    products: &'static [&'static str],
    position_modes: &'static [&'static str],
    (maker, taker): (i64, i64),
) -> Connector {
    Connector {
        name,
        exchange,
        products,
        mode: Mode::Paper,
        order_types: ORDER_TYPES,
        position_modes,
        maker: Rate(maker * 100_000),
        taker: Rate(taker * 100_000),
        status: Status::Planned,
    }
}

const fn ready(connector: Connector) -> Connector {
    Connector { status: Status::Ready, ..connector }
}

const fn testnet(connector: Connector) -> Connector {
    Connector { mode: Mode::Testnet, ..connector }
}

/// Every connector, in the order of `connectors`.
pub const CONNECTORS: &[Connector] = &[
    ready(line("bitmex_paper_trade", "bitmex", SPOT, NO_MODES, (5, 5))),
    ready(line("bitmex_perpetual_paper_trade", "bitmex", PERPETUAL, ONE_WAY, (5, 5))),
    ready(line("bitmart_paper_trade", "bitmart", SPOT, NO_MODES, (25, 25))),
    ready(line("bitmart_perpetual_paper_trade", "bitmart", PERPETUAL, BOTH_MODES, (2, 6))),
    ready(line("phemex_perpetual_paper_trade", "phemex", PERPETUAL, BOTH_MODES, (1, 6))),
    ready(line("bitget_perpetual_paper_trade", "bitget", PERPETUAL, BOTH_MODES, (2, 6))),
    ready(line("hitbtc_paper_trade", "hitbtc", SPOT, NO_MODES, (10, 25))),
    testnet(line("bitmex_testnet", "bitmex", SPOT, NO_MODES, (5, 5))),
    testnet(line("bitmex_perpetual_testnet", "bitmex", PERPETUAL, ONE_WAY, (5, 5))),
    testnet(line("phemex_perpetual_testnet", "phemex", PERPETUAL, BOTH_MODES, (1, 6))),
    testnet(line("bitget_perpetual_demo", "bitget", PERPETUAL, BOTH_MODES, (2, 6))),
];

/// A connector's name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// No such name.
    #[error("unknown connector {name:?}{hint} (`papertape connectors` lists them)")]
    Unknown {
        /// As it was typed.
        name: String,
        /// What may have been meant, with a leading separator; may be empty.
        hint: String,
    },
    /// A real exchange.
    #[error(
        "papertape never trades real money: {name:?} is the real exchange, its paper connector is {paper}"
    )]
    Real {
        /// As it was typed.
        name: String,
        /// The paper connector.
        paper: &'static str,
    },
    /// Reserved, not built yet.
    #[error("{0} is planned and cannot be used yet (`papertape connectors` shows which are ready)")]
    Planned(&'static str),
}

/// The connector of that name.
pub fn connector(name: &str) -> Result<&'static Connector, ConnectorError> {
    if let Some(connector) = CONNECTORS.iter().find(|connector| connector.name == name) {
        return Ok(connector);
    }
    let name = name.to_owned();
    if let Some(paper) = CONNECTORS.iter().find(|connector| connector.market_name() == Some(name.as_str())) {
        return Err(ConnectorError::Real { name, paper: paper.name });
    }
    let close =
        CONNECTORS.iter().find(|connector| name.len() >= 4 && connector.name.starts_with(name.as_str()));
    let hint = close.map(|connector| format!("; did you mean {}?", connector.name)).unwrap_or_default();
    Err(ConnectorError::Unknown { name, hint })
}

/// The connector of that name, if it can be used.
pub fn usable_connector(name: &str) -> Result<&'static Connector, ConnectorError> {
    match connector(name)? {
        Connector { status: Status::Planned, name, .. } => Err(ConnectorError::Planned(name)),
        ready => Ok(ready),
    }
}

impl Connector {
    /// The exchange's folder.
    pub fn venue(&self) -> Result<&'static dyn Venue, VenueError> {
        venue(self.exchange)
    }

    /// What its first product is; what a symbol is spelled for where nothing says more.
    pub fn family(&self) -> &'static str {
        self.products.first().copied().unwrap_or_default()
    }

    /// The name without `_paper_trade`, as `--live-from` takes it: `bitget_perpetual`.
    pub fn market_name(&self) -> Option<&'static str> {
        self.name.strip_suffix("_paper_trade")
    }

    /// The connector whose market opens beside its own: BitMart's page promises its perpetuals with
    /// `bitmart_paper_trade`.
    pub fn beside(&self) -> Option<&'static Self> {
        let name = (self.name == "bitmart_paper_trade").then_some("bitmart_perpetual_paper_trade")?;
        CONNECTORS.iter().find(|connector| connector.name == name)
    }

    /// Its fees where nothing nearer says otherwise.
    pub fn fees(&self) -> FeeSchedule {
        FeeSchedule::flat_rates(self.maker, self.taker, FEE_SOURCE)
    }

    /// As `connectors --json` shows it.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "exchange": self.exchange,
            "products": self.products,
            "mode": self.mode.name(),
            "order_types": self.order_types,
            "position_modes": self.position_modes,
            "maker_fee": self.maker.to_decimal().to_string(),
            "taker_fee": self.taker.to_decimal().to_string(),
            "fee_source": FEE_SOURCE,
            "status": self.status.name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_contract() {
        let shown: Vec<_> = CONNECTORS
            .iter()
            .map(|c| {
                format!("{} {} {} {}", c.name, c.maker.to_decimal(), c.taker.to_decimal(), c.mode.name())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "bitmex_paper_trade 0.0005 0.0005 paper",
                "bitmex_perpetual_paper_trade 0.0005 0.0005 paper",
                "bitmart_paper_trade 0.0025 0.0025 paper",
                "bitmart_perpetual_paper_trade 0.0002 0.0006 paper",
                "phemex_perpetual_paper_trade 0.0001 0.0006 paper",
                "bitget_perpetual_paper_trade 0.0002 0.0006 paper",
                "hitbtc_paper_trade 0.001 0.0025 paper",
                "bitmex_testnet 0.0005 0.0005 testnet",
                "bitmex_perpetual_testnet 0.0005 0.0005 testnet",
                "phemex_perpetual_testnet 0.0001 0.0006 testnet",
                "bitget_perpetual_demo 0.0002 0.0006 testnet",
            ]
        );
    }

    #[test]
    fn names_that_cannot_be_used_say_why() {
        assert_eq!(usable_connector("bitmart_paper_trade").map(|c| c.exchange), Ok("bitmart"));
        for (name, want) in [
            (
                "bitmart",
                "papertape never trades real money: \"bitmart\" is the real exchange, its paper connector is bitmart_paper_trade",
            ),
            (
                "bitmex_testnet",
                "bitmex_testnet is planned and cannot be used yet (`papertape connectors` shows which are ready)",
            ),
            (
                "bitmart_paper",
                "unknown connector \"bitmart_paper\"; did you mean bitmart_paper_trade? (`papertape connectors` lists them)",
            ),
            ("x", "unknown connector \"x\" (`papertape connectors` lists them)"),
        ] {
            assert_eq!(usable_connector(name).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn ready_connectors_have_a_venue() {
        for connector in CONNECTORS.iter().filter(|c| c.status == Status::Ready) {
            assert_eq!(connector.venue().map(Venue::name), Ok(connector.exchange));
        }
    }
}
