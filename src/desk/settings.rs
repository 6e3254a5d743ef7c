//! The user's settings: a TOML file, with Hummingbot's names where it has them.
//!
//! ```toml
//! [paper_trade]
//! paper_trade_exchanges = ["bitmart"]
//! [paper_trade.paper_trade_account_balance]
//! BTC = 1
//! USDT = 100000
//!
//! [fee_overrides]
//! bitmart_maker_percent_fee = 0.1        # percent: 0.1 is a tenth of a percent
//! bitmart_taker_percent_fee = 0.25
//! ```
//!
//! The tables may be left out: the same keys at the top level mean the same. Other keys are another program's and
//! are left alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use toml::{Table, Value};

use super::DeskError;
use super::options::FeeOverride;
use crate::market::Asset;
use crate::sim::FlatFee;

const BALANCES: &str = "paper_trade_account_balance";
const PAPER: &str = "paper_trade";

/// What new paper accounts start with where nobody says otherwise.
const DEFAULT_BALANCES: [(&str, i64); 7] = [
    ("BTC", 1),
    ("XBT", 1),
    ("ETH", 20),
    ("SOL", 100),
    ("USDT", 100_000),
    ("USDC", 100_000),
    ("USD", 100_000),
];

/// The settings of a run.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where `balance paper` writes.
    own: Option<PathBuf>,
    /// What new paper accounts start with, where it is set.
    balances: BTreeMap<Asset, Decimal>,
    /// Fees by connector (`bitmart`), where they are set.
    fees: BTreeMap<String, FeeOverride>,
}

impl Settings {
    /// Reads `config`, if one is named, and what `balance paper` has written to `settings.toml` in the data folder.
    pub fn load(config: Option<&Path>, data: Option<&Path>) -> Result<Self, DeskError> {
        let own = data.map(|data| data.join("settings.toml"));
        let mut settings = Self { own: own.clone(), ..Self::default() };
        if let Some(config) = config {
            let table = read(config)?;
            let table =
                table.ok_or_else(|| DeskError::failed(format!("{}: no such file", config.display())))?;
            settings.take(config, &table)?;
        }
        if let Some(own) = own
            && let Some(table) = read(&own)?
        {
            settings.take(&own, &table)?;
        }
        Ok(settings)
    }

    fn take(&mut self, file: &Path, table: &Table) -> Result<(), DeskError> {
        let fail = |what: String| DeskError::failed(format!("{}: {what}", file.display()));
        let nested = table.get(PAPER).and_then(Value::as_table);
        let balances = nested.and_then(|paper| paper.get(BALANCES)).or_else(|| table.get(BALANCES));
        for (asset, amount) in balances.map(amounts).transpose().map_err(fail)?.into_iter().flatten() {
            self.balances.insert(asset, amount);
        }
        let fees = table.get("fee_overrides").and_then(Value::as_table);
        for (key, value) in table.iter().chain(fees.into_iter().flatten()) {
            self.take_fee(key, value).map_err(fail)?;
        }
        Ok(())
    }

    fn take_fee(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let percent = |value: &Value| {
            let rate = number(value).ok_or_else(|| format!("{key}: not a percentage: {value}"))?;
            Ok::<_, String>(rate / Decimal::ONE_HUNDRED)
        };
        if let Some(name) = key.strip_suffix("_maker_percent_fee") {
            self.fees.entry(name.to_owned()).or_default().maker = Some(percent(value)?);
        } else if let Some(name) = key.strip_suffix("_taker_percent_fee") {
            self.fees.entry(name.to_owned()).or_default().taker = Some(percent(value)?);
        } else if let Some(name) = key.strip_suffix("_buy_percent_fee_deducted_from_returns") {
            let flag = value.as_bool().ok_or_else(|| format!("{key}: not true or false: {value}"))?;
            self.fees.entry(name.to_owned()).or_default().buy_fee_deducted_from_returns = Some(flag);
        } else if let Some(name) = key.strip_suffix("_maker_fixed_fees") {
            self.take_fixed(name, key, value, true)?;
        } else if let Some(name) = key.strip_suffix("_taker_fixed_fees") {
            self.take_fixed(name, key, value, false)?;
        } else if key.ends_with("_percent_fee_token") && value.as_str().is_some_and(|token| !token.is_empty())
        {
            return Err(format!(
                "{key}: a fee token needs its price and discount, which are not settings: leave it out"
            ));
        }
        Ok(())
    }

    /// A list of `[token, amount]`.
    fn take_fixed(&mut self, name: &str, key: &str, value: &Value, maker: bool) -> Result<(), String> {
        let wrong = || format!("{key}: not a list of [token, amount]: {value}");
        for line in value.as_array().ok_or_else(wrong)? {
            let pair =
                line.as_array().and_then(|pair| Some((pair.first()?.as_str()?, number(pair.get(1)?)?)));
            let (token, amount) = pair.ok_or_else(wrong)?;
            let fee = FlatFee { asset: Asset::new(token), amount, maker, taker: !maker };
            self.fees.entry(name.to_owned()).or_default().flat.push(fee);
        }
        Ok(())
    }

    /// What new paper accounts start with.
    pub fn paper_balances(&self) -> BTreeMap<Asset, Decimal> {
        let defaults =
            DEFAULT_BALANCES.iter().map(|(asset, amount)| (Asset::new(asset), Decimal::from(*amount)));
        let mut all: BTreeMap<Asset, Decimal> = defaults.collect();
        all.extend(self.balances.iter().map(|(asset, amount)| (asset.clone(), *amount)));
        all
    }

    /// The fees that are set for a connector, by its name with or without `_paper_trade`.
    pub fn fees(&self, market_name: &str) -> Option<&FeeOverride> {
        self.fees.get(market_name).or_else(|| self.fees.get(&format!("{market_name}_paper_trade")))
    }

    /// Sets what new paper accounts start with, of one asset, and writes it down.
    pub fn set_paper_balance(&mut self, asset: &Asset, amount: Decimal) -> Result<(), DeskError> {
        self.balances.insert(asset.clone(), amount);
        let Some(file) = &self.own else { return Ok(()) };
        let mut table = read(file)?.unwrap_or_default();
        let paper = table.entry(PAPER).or_insert_with(|| Table::new().into());
        let balances =
            paper.as_table_mut().map(|paper| paper.entry(BALANCES).or_insert_with(|| Table::new().into()));
        let fail = |what: String| DeskError::failed(format!("{}: {what}", file.display()));
        let Some(balances) = balances.and_then(Value::as_table_mut) else {
            return Err(fail(format!("{PAPER}.{BALANCES} is no table")));
        };
        balances.insert(asset.to_string(), amount.to_string().into());
        let text = toml::to_string(&table).map_err(|error| fail(error.to_string()))?;
        let write = || {
            std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
            let beside = file.with_extension("toml.new");
            std::fs::write(&beside, text)?;
            std::fs::rename(beside, file)
        };
        write().map_err(|error: std::io::Error| fail(error.to_string()))
    }
}

fn read(file: &Path) -> Result<Option<Table>, DeskError> {
    let fail = |what: String| DeskError::failed(format!("{}: {what}", file.display()));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error.to_string())),
    };
    let table = text.parse::<Table>();
    table.map(Some).map_err(|error| fail(error.to_string().trim_end().replace('\n', " ")))
}

/// Balances as a table, or as Hummingbot also has them: a JSON object in a string.
fn amounts(value: &Value) -> Result<Vec<(Asset, Decimal)>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{BALANCES}: not an amount: {what}");
    match value {
        Value::Table(table) => table
            .iter()
            .map(|(asset, amount)| Ok((Asset::new(asset), number(amount).ok_or_else(|| wrong(amount))?)))
            .collect(),
        Value::String(text) => {
            let raw: BTreeMap<String, Box<serde_json::value::RawValue>> = serde_json::from_str(text)
                .map_err(|error| format!("{BALANCES}: not a JSON object: {error}"))?;
            let one = |(asset, amount): (String, Box<serde_json::value::RawValue>)| {
                let amount = amount.get().trim_matches('"');
                Ok((Asset::new(&asset), plain(amount).ok_or_else(|| wrong(&amount))?))
            };
            raw.into_iter().map(one).collect()
        }
        other => Err(wrong(other)),
    }
}

/// A number that is zero or more, exactly as it is written.
fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Integer(number) => Some(Decimal::from(*number)),
        // The shortest text of a float is what was typed, as far as a float can hold it.
        Value::Float(number) => plain(&number.to_string()),
        Value::String(text) => plain(text),
        _ => None,
    }
    .filter(|number| !number.is_sign_negative() || number.is_zero())
}

fn plain(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).ok().or_else(|| Decimal::from_scientific(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hummingbot_users_settings_can_be_copied() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("conf.toml");
        let text = "rate_oracle_source = \"gate_io\"\nbitmart_maker_percent_fee = 0.1\n\
                    [paper_trade]\npaper_trade_exchanges = [\"binance\"]\n\
                    [paper_trade.paper_trade_account_balance]\nBTC = 0.3\nDOGE = 1000000\n\
                    [fee_overrides]\nbitmart_taker_percent_fee = \"0.25\"\n";
        std::fs::write(&config, text).unwrap();
        let mut settings = Settings::load(Some(&config), Some(folder.path())).unwrap();
        let balances = settings.paper_balances();
        assert_eq!(balances[&Asset::new("BTC")], Decimal::new(3, 1));
        assert_eq!(balances[&Asset::new("DOGE")], Decimal::from(1_000_000));
        assert_eq!(balances[&Asset::new("ETH")], Decimal::from(20));
        let fees = settings.fees("bitmart").unwrap();
        assert_eq!((fees.maker, fees.taker), (Some(Decimal::new(1, 3)), Some(Decimal::new(25, 4))));

        settings.set_paper_balance(&Asset::new("BTC"), Decimal::new(5, 1)).unwrap();
        let again = Settings::load(Some(&config), Some(folder.path())).unwrap();
        assert_eq!(again.paper_balances()[&Asset::new("BTC")], Decimal::new(5, 1));
    }

    #[test]
    fn balances_in_a_json_string_and_wrong_ones() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("conf.toml");
        let load = |text: &str| {
            std::fs::write(&config, text).unwrap();
            Settings::load(Some(&config), Some(folder.path()))
        };
        let settings = load("paper_trade_account_balance = '{\"BTC\": 0.25, \"USDT\": \"7\"}'").unwrap();
        assert_eq!(settings.paper_balances()[&Asset::new("BTC")], Decimal::new(25, 2));
        assert_eq!(settings.paper_balances()[&Asset::new("USDT")], Decimal::from(7));
        for (text, want) in [
            ("paper_trade_account_balance = 3", "not an amount"),
            ("[paper_trade_account_balance]\nBTC = -1", "not an amount: -1"),
            ("bitmart_maker_percent_fee = \"much\"", "not a percentage"),
            ("= 1", "conf.toml"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
