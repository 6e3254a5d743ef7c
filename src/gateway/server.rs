//! Listens: ports, TLS, limits of what a client may hold, and an orderly end.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::handler::Handler;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use serde_json::{Value, json};

use super::Gateway;
use super::clock::Driver;
use super::http::{Door, answer};

/// So many connections at once, on all ports together.
const MOST_CONNECTIONS: usize = 2_000;
/// A client has so long for the headers of a request.
const HEADERS: Duration = Duration::from_secs(20);
/// A request has at most so many headers …
const MOST_HEADERS: usize = 100;
/// … in so many bytes.
const MOST_HEADER_BYTES: usize = 64 << 10;
/// At the end clients have so long to go.
const GRACE: Duration = Duration::from_secs(2);

/// A gateway that cannot be opened, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A port cannot be had.
    #[error("{address}: {cause}; try another port (0 takes a free one)")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// There is no port so high.
    #[error("--port-per-venue: there is no port {0} ports behind that of --listen")]
    Port(usize),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The certificate cannot be made.
    #[error("--tls: {0}")]
    Tls(String),
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address of prefixes, and of the gateway's own paths.
    pub address: SocketAddr,
    /// Each exchange also has a port of its own.
    pub port_per_venue: bool,
    /// Encrypted, with a certificate made on the spot.
    pub tls: bool,
}

struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
}

/// A gateway whose ports are open.
pub struct Serving {
    gateway: Arc<Gateway>,
    bound: Vec<Bound>,
    tls: bool,
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let failed = |cause| GatewayError::Listen { address, cause };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Serving {
    /// Opens the ports; nobody is answered yet.
    pub fn bind(gateway: Arc<Gateway>, listen: Listen) -> Result<Self, GatewayError> {
        let (listener, address) = bind(listen.address)?;
        let only = (gateway.halls.len() == 1).then_some(0);
        let door = Door { gateway: Arc::clone(&gateway), mount: only, main: true };
        let mut bound = vec![Bound { listener, address, door }];
        if listen.port_per_venue {
            for at in 0..gateway.halls.len() {
                // Free ports stay free ports: 0 is any.
                let port = match listen.address.port() {
                    0 => Some(0),
                    port => u16::try_from(at + 1).ok().and_then(|by| port.checked_add(by)),
                };
                let port = port.ok_or(GatewayError::Port(at + 1))?;
                let (listener, address) = bind(SocketAddr::new(listen.address.ip(), port))?;
                let door = Door { gateway: Arc::clone(&gateway), mount: Some(at), main: false };
                bound.push(Bound { listener, address, door });
            }
        }
        Ok(Self { gateway, bound, tls: listen.tls })
    }

    /// The address of prefixes.
    pub fn address(&self) -> SocketAddr {
        self.bound[0].address
    }

    /// What is where, for programs: mounts with their bases and keys, the control interface with its token.
    pub fn table(&self) -> Value {
        let (http, ws) = if self.tls { ("https", "wss") } else { ("http", "ws") };
        let main = self.address();
        let mounts = self.gateway.halls.iter().enumerate().map(|(at, hall)| {
            let own = self.bound.iter().find(|bound| !bound.door.main && bound.door.mount == Some(at));
            let (address, prefix) = match own {
                Some(bound) => (bound.address, String::new()),
                None => (main, format!("/{}", hall.name)),
            };
            let access = hall.access();
            let keys = access.keys.iter().map(|key| {
                let account = access.accounts.get(key.account).map(|account| account.name.as_str());
                json!({
                    "account": account,
                    "key": key.key,
                    "secret": key.secret,
                    "passphrase": key.passphrase,
                })
            });
            json!({
                "mount": format!("/{}", hall.name),
                "connectors": hall.connectors,
                "port": address.port(),
                "rest": format!("{http}://{address}{prefix}"),
                "websocket": format!("{ws}://{address}{prefix}"),
                "socket_path": hall.socket_path,
                "keys": keys.collect::<Vec<Value>>(),
                "auth": !access.open,
            })
        });
        json!({
            "listen": main.to_string(),
            "mounts": mounts.collect::<Vec<Value>>(),
            "control": format!("{http}://{main}/papertape/"),
            "token": self.gateway.token,
        })
    }

    /// Serves until `end`, and says goodbye then.
    pub async fn run(self, end: impl Future<Output = ()> + Send) -> Result<(), GatewayError> {
        let Self { gateway, bound, tls } = self;
        let driver = Driver::start(Arc::clone(&gateway))?;
        let handle = Handle::new();
        let certificate = if tls { Some(certificate(&gateway).await?) } else { None };
        let mut servers = tokio::task::JoinSet::new();
        for Bound { listener, door, .. } in bound {
            // One handler answers all paths: a router would look each of them up for nothing.
            let service = answer.with_state(door).into_make_service_with_connect_info::<SocketAddr>();
            let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).http1_only();
            server
                .http_builder()
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .max_headers(MOST_HEADERS)
                .max_buf_size(MOST_HEADER_BYTES);
            let limit = Limit { handle: handle.clone() };
            match &certificate {
                Some(config) => {
                    let tls = axum_server::tls_rustls::RustlsAcceptor::new(config.clone()).acceptor(limit);
                    servers.spawn(async move { server.acceptor(tls).serve(service).await });
                }
                None => {
                    servers.spawn(async move { server.acceptor(limit).serve(service).await });
                }
            }
        }
        let failed = tokio::select! {
            () = end => None,
            ended = servers.join_next() => ended,
        };
        drop(driver);
        gateway.halls.iter().for_each(super::hall::Hall::close_all);
        handle.graceful_shutdown(Some(GRACE));
        while let Some(ended) = servers.join_next().await {
            // What ends now was told to.
            let _ = ended;
        }
        match failed {
            Some(Ok(Err(error))) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Turns connections away where there are too many.
#[derive(Clone)]
struct Limit {
    handle: Handle<SocketAddr>,
}

impl<S> Accept<tokio::net::TcpStream, S> for Limit {
    type Stream = tokio::net::TcpStream;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: tokio::net::TcpStream, service: S) -> Self::Future {
        std::future::ready(if self.handle.connection_count() > MOST_CONNECTIONS {
            Err(io::Error::other("too many connections"))
        } else {
            // An answer is small and is waited for.
            stream.set_nodelay(true).map(|()| (stream, service))
        })
    }
}

/// A certificate for this machine and for the real hosts of the venues.
async fn certificate(gateway: &Gateway) -> Result<RustlsConfig, GatewayError> {
    let failed = |error: &dyn std::fmt::Display| GatewayError::Tls(error.to_string());
    // Another part of the program may have chosen already: it chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(gateway.halls.iter().flat_map(|hall| hall.hosts.iter().map(|host| (*host).to_owned())));
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| failed(&error))?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    RustlsConfig::from_pem(certificate.into_bytes(), key.into_bytes()).await.map_err(|error| failed(&error))
}

/// Whether only this machine can come to an address.
pub fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}
