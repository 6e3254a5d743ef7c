//! Client order ids.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::TradeType;
use crate::market::Pair;
use crate::order::ClientOrderId;

/// Draws client order ids as Hummingbot's paper connectors spell them: `buy://BTC-USDT/` and 26 hex digits.
///
/// The same seed and session give the same ids, so that a scripted session prints the same bytes each time; another
/// session of the same account draws others.
///
/// ```
/// # use papertape::connector::{ClientIds, TradeType};
/// let mut ids = ClientIds::new(7, 1);
/// let id = ids.draw(TradeType::Buy, &"BTC-USDT".parse().unwrap());
/// assert!(id.starts_with("buy://BTC-USDT/") && id.len() == 15 + 26);
/// ```
#[derive(Clone, Debug)]
pub struct ClientIds {
    rng: ChaCha8Rng,
}

impl ClientIds {
    /// A generator for one session of an account.
    pub fn new(seed: u64, session: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(session);
        Self { rng }
    }

    /// A generator of its own for somebody else in the session.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(self.rng.next_u64()) }
    }

    /// The next id.
    pub fn draw(&mut self, side: TradeType, pair: &Pair) -> ClientOrderId {
        let (high, low) = (self.rng.next_u64() & 0xff_ffff_ffff, self.rng.next_u64());
        let side = if side == TradeType::Sell { "sell" } else { "buy" };
        ClientOrderId::from(format!("{side}://{pair}/{high:010x}{low:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_repeat_with_the_seed_and_differ_otherwise() {
        let pair: Pair = "ETH-USDT".parse().unwrap();
        let draw = |seed, session| {
            let mut ids = ClientIds::new(seed, session);
            (0..1000).map(|_| ids.draw(TradeType::Sell, &pair)).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_eq!(draw(1, 1).len(), 1000);
        assert!(draw(1, 1).is_disjoint(&draw(1, 2)));
        assert!(draw(1, 1).is_disjoint(&draw(2, 1)));
        assert!(draw(3, 1).iter().all(|id| id.len() == 16 + 26));
    }
}
