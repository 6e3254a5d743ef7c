//! `account`: the paper accounts that are kept.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Done;
use crate::cli::Global;
use crate::desk::DeskError;
use crate::paper::snapshot::{AccountFile, AccountFolder, AccountLock};
use crate::shell::table::{Shape, Table, at_least, exact};
use crate::venue::connectors::connector;

/// Paper accounts: list, show, reset, export
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the accounts
    List,
    /// Show an account's balances and open orders
    Show(Which),
    /// Take an account away: the next session starts it anew
    Reset(Which),
    /// Print an account as JSON
    Export(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its name
    name: String,
    /// Its connector, where several have an account of that name
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
}

/// Lists, shows, resets or exports.
pub fn run(args: &Args, global: &Global, out: &mut dyn Write) -> Done {
    let store = global.store();
    let Some(accounts) = store.accounts() else {
        return Err(DeskError::usage("--store none keeps no accounts".to_owned()).into());
    };
    match &args.action {
        Action::List => list(&accounts, global, out),
        Action::Show(which) => show(&find(&accounts, which)?.1, global.json, out),
        Action::Export(which) => {
            let (_, file) = find(&accounts, which)?;
            Ok(writeln!(out, "{}", serde_json::to_string_pretty(&file)?)?)
        }
        Action::Reset(which) => {
            let (path, file) = find(&accounts, which)?;
            let lock = AccountLock::take(&path)?;
            std::fs::remove_file(&path)?;
            drop(lock);
            let said = format!("account {} of {} is reset", file.account, file.connector);
            let json = json!({"reset": file.account, "connector": file.connector});
            if global.json {
                writeln!(out, "{json}")?;
            } else {
                writeln!(out, "{said}")?;
            }
            Ok(())
        }
    }
}

fn list(accounts: &AccountFolder, global: &Global, out: &mut dyn Write) -> Done {
    let mut table = Table::new(["Account", "Connector", "Sessions", "Open Orders", "Fills", "Balances"]);
    let mut rows = Vec::new();
    let mut failed = None;
    for found in accounts.list() {
        match found {
            Ok((_, file)) => {
                let balances: Vec<String> = file
                    .balances
                    .iter()
                    .map(|(asset, amount)| format!("{} {asset}", exact(*amount)))
                    .collect();
                table.row([
                    file.account.clone(),
                    file.connector.clone(),
                    file.session.to_string(),
                    file.open_orders.len().to_string(),
                    file.fills.to_string(),
                    balances.join(", "),
                ]);
                rows.push(summary(&file));
            }
            Err(error) => {
                global.say(&format!("warning: {error}"));
                failed = Some(error);
            }
        }
    }
    if global.json {
        writeln!(out, "{}", json!({"accounts": rows}))?;
    } else if table.is_empty() {
        writeln!(out, "No paper accounts are kept yet.")?;
    } else {
        out.write_all(table.draw(Shape::Grid, 0).as_bytes())?;
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn summary(file: &AccountFile) -> Value {
    let balances: BTreeMap<String, String> =
        file.balances.iter().map(|(asset, amount)| (asset.to_string(), exact(*amount))).collect();
    let held: BTreeMap<String, String> =
        file.held.iter().map(|(asset, amount)| (asset.to_string(), exact(*amount))).collect();
    json!({
        "account": file.account, "connector": file.connector, "sessions": file.session, "fills": file.fills,
        "balances": balances, "held": held, "open_orders": file.open_orders,
    })
}

fn show(file: &AccountFile, json: bool, out: &mut dyn Write) -> Done {
    if json {
        return Ok(writeln!(out, "{}", summary(file))?);
    }
    writeln!(out, "{} of {}: {} sessions, {} fills", file.account, file.connector, file.session, file.fills)?;
    let mut table = Table::new(["Asset", "Balance", "Held"]);
    for (asset, amount) in &file.balances {
        let held = file.held.get(asset).copied().unwrap_or_default();
        table.row([asset.to_string(), at_least(*amount, 4), at_least(held, 4)]);
    }
    out.write_all(table.draw(Shape::Plain { gap: 1 }, 4).as_bytes())?;
    for order in &file.open_orders {
        let side = order.side.name().to_ascii_lowercase();
        let at = order.price.map(|price| format!(" at {}", exact(price))).unwrap_or_default();
        let (amount, filled) = (exact(order.amount), exact(order.filled));
        writeln!(out, "    open: {side} {amount} {}{at}, {filled} filled, {}", order.pair, order.client_id)?;
    }
    Ok(())
}

/// The one account of that name.
fn find(
    accounts: &AccountFolder,
    which: &Which,
) -> Result<(PathBuf, AccountFile), Box<dyn std::error::Error>> {
    if let Some(connector) = &which.connector {
        let path = accounts.path(connector, &which.name)?;
        let file = read(&path)?;
        return Ok((path, file));
    }
    let mut found = Vec::new();
    for account in accounts.list() {
        match account {
            Ok(account) if account.1.account == which.name => found.push(account),
            Ok(_) => {}
            // The one that cannot be read may be the one that is asked for.
            Err(error) => return Err(error.into()),
        }
    }
    // An account that was opened beside another is asked for by its connector.
    let first: Vec<String> = found.iter().map(|(_, file)| file.connector.clone()).collect();
    let beside = |name: &str| {
        let others = first.iter().filter_map(|first| connector(first).ok()?.beside());
        others.into_iter().any(|beside| beside.name == name)
    };
    found.retain(|(_, file)| !beside(&file.connector));
    let several = found.len() > 1;
    match found.pop() {
        Some(account) if !several => Ok(account),
        Some(_) => Err(DeskError::usage(format!(
            "several connectors have an account {:?}: add --connector",
            which.name
        ))
        .into()),
        None => {
            Err(DeskError::failed(format!("no account {:?} (`papertape account list`)", which.name)).into())
        }
    }
}

fn read(path: &Path) -> Result<AccountFile, Box<dyn std::error::Error>> {
    let file = AccountFile::read(path)?;
    Ok(file.ok_or_else(|| DeskError::failed(format!("{}: no such account", path.display())))?)
}
