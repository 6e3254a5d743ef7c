//! Markets and accounts for whoever serves them: one exchange a venue, whatever of its connectors were named.

use smol_str::SmolStr;

use super::account::{Deposits, Place, deposits, rejoin_served};
use super::{Desk, DeskError, OpenMarket};
use crate::feed::beside::Beside;
use crate::feed::merge::AnySource;
use crate::feed::moved::Moved;
use crate::feed::open::live::LiveMarket;
use crate::market::Timestamp;
use crate::order::{AccountId, SessionId};
use crate::paper::snapshot::AccountFile;
use crate::paper::{Journal, Journals, Keep, PaperExchange, PaperHandle, PaperOptions, share};
use crate::sim::SimConfig;
use crate::venue::Venue;
use crate::venue::api::Account;

/// One exchange that is ready to be served.
pub struct Served {
    /// Its venue.
    pub venue: &'static dyn Venue,
    /// The connectors that it stands for.
    pub connectors: Vec<&'static str>,
    /// It, at the first instant at which its books can be believed.
    pub paper: PaperHandle,
    /// Its accounts, in the order in which they were named.
    pub accounts: Vec<Account>,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Desk {
    /// Opens the exchanges of these connectors, those of one venue together, each with all of `accounts`. `moved_to`: the
    /// instant at which the first message shall be, the warm-up before it; a live market is where it is.
    pub fn serve(
        &self,
        names: &[String],
        accounts: &[SmolStr],
        moved_to: Option<Timestamp>,
    ) -> Result<Vec<Served>, DeskError> {
        let mut groups: Vec<Vec<OpenMarket>> = Vec::new();
        for name in names {
            let market = self.market(name)?;
            let same = |group: &&mut Vec<OpenMarket>| group[0].venue.name() == market.venue.name();
            match groups.iter_mut().find(same) {
                Some(group) if group.iter().any(|other| other.line.name == market.line.name) => {
                    return Err(DeskError::usage(format!("{name} is named twice")));
                }
                Some(group) => group.push(market),
                None => groups.push(vec![market]),
            }
        }
        groups.into_iter().map(|group| self.serve_venue(group, accounts, moved_to)).collect()
    }

    fn serve_venue(
        &self,
        group: Vec<OpenMarket>,
        accounts: &[SmolStr],
        moved_to: Option<Timestamp>,
    ) -> Result<Served, DeskError> {
        let (venue, market_delay) = (group[0].venue, group[0].market_delay);
        let mut all = Joined::default();
        group.into_iter().for_each(|market| all.add(market));
        let Joined { sources, config, connectors, mut notes, chosen, warnings, live } = all;
        let config = config.ok_or_else(|| DeskError::usage("no connector is named".to_owned()))?;
        let failed = |error: crate::market::SourceError| DeskError::failed(error.to_string());
        let mut source: AnySource = Box::new(Beside::new(sources).map_err(failed)?);
        if let Some(start) = moved_to.filter(|_| live.is_empty()) {
            let ahead = self.source.served_warmup();
            source = Box::new(Moved::to(source, start, ahead).map_err(failed)?);
        }
        let options = PaperOptions { market_delay, follow_queues: true };
        let mut paper = PaperExchange::new(config, source, options)?;
        if !live.is_empty() {
            let handles = live.iter().map(|live| live.handle.clone()).collect();
            paper.follow(Box::new(super::LiveWall(handles)));
        }
        let names = std::sync::Arc::clone(paper.names());
        let line = super::usable(connectors[0])?;
        let (mut journals, mut found) = (Journals::default(), Vec::new());
        for (number, name) in (1_u32..).zip(accounts) {
            let account = Account { name: name.clone(), id: AccountId(number), session: SessionId(number) };
            let wanted = (name.as_str(), account.id, self.keeps_served());
            let mut one = self.find_account((line, Place::First), wanted, &names, &mut notes)?;
            journals.0.extend(one.journal.take().map(|journal| Box::new(journal) as Box<dyn Journal>));
            found.push((account, one));
        }
        paper.set_journal(Box::new(journals));
        let mut opened = Vec::new();
        for (account, one) in found {
            let orders = one.open(&mut paper, account.id, account.session, &mut notes)?;
            opened.push((account, orders));
        }
        super::first_book(&mut paper, &chosen, live.first())?;
        // What the first books took of the warm-up is part of it.
        let warm = self.source.served_warmup();
        let end = paper.started().plus(warm).max(paper.now());
        paper.advance_to(end)?;
        self.warnings.borrow_mut().extend(warnings);
        let paper = share(paper);
        for (account, orders) in &opened {
            rejoin_served((connectors[0], account.session), &paper, orders, &mut notes)?;
        }
        {
            let mut paper = paper.lock();
            paper.listen();
            opened.iter().for_each(|(account, _)| paper.serve(account.session, Keep::SERVED));
        }
        let accounts = opened.into_iter().map(|(account, _)| account).collect();
        Ok(Served { venue, connectors, paper, accounts, notes })
    }

    /// Whether accounts that are served are kept: on a live market, and where they are named.
    fn keeps_served(&self) -> bool {
        self.source.is_live() || self.account.account.is_some()
    }

    /// What a new account is given.
    pub fn new_deposits(
        &self,
        connector: &str,
        name: &str,
        paper: &PaperExchange,
    ) -> Result<Vec<(u16, crate::order::Money)>, DeskError> {
        let names = paper.names();
        let known: Vec<_> = names.funds().cloned().collect();
        let mut file = AccountFile::new(connector, name);
        file.balances.extend(self.starting_balances(&known)?);
        let (deposits, _): Deposits = deposits(&file, names)?;
        Ok(deposits)
    }
}

/// The markets of one venue's connectors, put together.
#[derive(Default)]
struct Joined {
    sources: Vec<AnySource>,
    config: Option<SimConfig>,
    connectors: Vec<&'static str>,
    notes: Vec<String>,
    chosen: Vec<crate::market::Pair>,
    warnings: Vec<crate::feed::warnings::Warnings>,
    live: Vec<LiveMarket>,
}

impl Joined {
    fn add(&mut self, market: OpenMarket) {
        let OpenMarket { line, market, config, .. } = market;
        self.connectors.push(line.name);
        self.notes.extend(market.notes);
        self.warnings.push(market.warnings);
        self.live.extend(market.live);
        self.sources.push(market.source);
        match &mut self.config {
            // All of one venue, one seed and one way to simulate: only the markets and the prints' lateness differ.
            Some(all) => {
                all.markets.extend(config.markets);
                all.late_prints = all.late_prints.max(config.late_prints);
            }
            None => {
                self.chosen = market.chosen;
                self.config = Some(config);
            }
        }
    }
}
