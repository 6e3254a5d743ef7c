//! `connect --serve`: the gateway beside a shell, over the shell's own market and account.
//!
//! The shell moves the market; the gateway tells clients what has happened. Both trade one account, so that the shell's
//! `orders` shows what a bot has sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::serve::{KEY, new_token};
use crate::connector::Connector;
use crate::desk::DeskError;
use crate::gateway::clock::Clock;
use crate::gateway::hall::Hall;
use crate::gateway::{Gateway, GatewayError, Listen, Serving};
use crate::paper::PaperConnector;
use crate::venue::api::{Access, Account, Key};
use crate::venue::connectors::CONNECTORS;

/// A gateway on a thread of its own; it ends when this is dropped.
pub(super) struct ServedBeside {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), GatewayError>>>,
    /// What is where, as `serve --json` prints it.
    pub(super) table: Value,
}

impl ServedBeside {
    /// Serves the market of a connector at an address.
    pub(super) fn start(connector: &PaperConnector, address: SocketAddr) -> Result<Self, DeskError> {
        let failed = |why: String| DeskError::failed(format!("--serve {address}: {why}"));
        let hall = hall(connector).map_err(failed)?;
        let gateway = Gateway::new(vec![hall], Clock::followed(), new_token()?);
        let listen = Listen { address, port_per_venue: false, tls: false };
        let serving = Serving::bind(Arc::new(gateway), listen)
            .map_err(|error| DeskError::failed(format!("--serve {error}")))?;
        let table = serving.table();
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let run = move || {
            // Ended or dropped, it is the end.
            let served = runtime.block_on(serving.run(async { drop(ended.await) }));
            runtime.shutdown_timeout(Duration::from_secs(1));
            served
        };
        let thread = std::thread::Builder::new().name("gateway".into()).spawn(run);
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        Ok(Self { end: Some(end), thread: Some(thread), table })
    }

    /// Where it is, for people.
    pub(super) fn words(&self) -> String {
        let mount = &self.table["mounts"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (rest, [key, secret, passphrase]) = (text(&mount["rest"]), KEY);
        format!("bots trade this account at {rest} (key {key}, secret {secret}, passphrase {passphrase})")
    }
}

impl Drop for ServedBeside {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // What ends now was told to; a panic there has been reported by then.
            let _ = thread.join();
        }
    }
}

/// The connector's exchange behind its venue's own interface. One key, for the account of the shell.
fn hall(connector: &PaperConnector) -> Result<Hall, String> {
    let line = CONNECTORS.iter().find(|line| line.name == connector.name());
    let line = line.ok_or_else(|| format!("{} is no connector of this build", connector.name()))?;
    let venue = line.venue().map_err(|error| error.to_string())?;
    let api = venue.api().ok_or_else(|| format!("{} cannot be served yet", venue.name()))?;
    let (handle, session) = (connector.handle().clone(), connector.session());
    let account = {
        let mut paper = handle.lock();
        paper.listen();
        paper.trader(session).map(|trader| trader.account)
    };
    let id = account.ok_or_else(|| "the session is not open".to_owned())?;
    let [key, secret, passphrase] = KEY.map(str::to_owned);
    let access = Access {
        accounts: vec![Account { name: "default".into(), id, session }],
        keys: vec![Key { key, secret, passphrase, account: 0 }],
        ..Access::default()
    };
    Ok(Hall::new(venue.name(), vec![line.name], api, handle, access))
}
