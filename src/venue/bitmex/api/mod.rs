//! BitMEX' own interface, served: REST v1 and the realtime socket, spot and contracts on one account.
//!
//! Never here: deposits and withdrawals, what margin a position needs. Start at [`BitmexApi`]; `routes` has the table of
//! requests, `wish` and `pegs` read orders, `rows` and `positions` have how things look, `streams` the socket, `log` what happened.

mod account;
mod auth;
mod fields;
mod log;
mod orders;
mod pegs;
mod positions;
mod public;
mod routes;
mod row;
mod rows;
mod streams;
mod tables;
#[cfg(test)]
mod tests;
mod wish;
mod worth;

use std::collections::BTreeMap;

use crate::market::Timestamp;
use crate::order::SessionId;
use crate::paper::PaperError;
use crate::sim::{RequestBody, Update};
use crate::venue::Frame;
use crate::venue::api::{Call, Called, Fault, NativeApi, Posts, Reply, Room, SocketId};
use crate::venue::limits::Limits;

use log::Log;
use streams::Streams;

/// When all orders of a session end, unless its owner says otherwise before.
type Switches = BTreeMap<SessionId, Timestamp>;

/// BitMEX' interface over one exchange.
#[derive(Debug, Default)]
pub(super) struct BitmexApi {
    limits: Limits,
    streams: Streams,
    switches: Switches,
    log: Log,
}

impl NativeApi for BitmexApi {
    fn hosts(&self) -> &'static [&'static str] {
        &["www.bitmex.com", "ws.bitmex.com", "testnet.bitmex.com", "ws.testnet.bitmex.com"]
    }

    fn socket_path(&self) -> &'static str {
        "/realtime"
    }

    fn call(&mut self, room: &mut Room<'_>, call: &Call<'_>) -> Result<Called, PaperError> {
        routes::answer(&mut self.limits, (&mut self.switches, &self.log), room, call)
    }

    fn fault(&self, fault: Fault) -> Reply {
        match fault {
            Fault::TooLarge => routes::failure(413, "Payload Too Large"),
            Fault::Broken => routes::failure(400, "Bad Request"),
            Fault::Down => {
                routes::failure(503, "The system is currently overloaded. Please try again later.")
            }
        }
    }

    fn open(
        &mut self,
        room: &mut Room<'_>,
        socket: SocketId,
        call: &Call<'_>,
        posts: &mut Posts,
    ) -> Result<(), Reply> {
        match call.path {
            "/realtime" => self.streams.open(room, socket, call, posts),
            _ => Err(routes::failure(404, "Not Found")),
        }
    }

    fn hear(
        &mut self,
        room: &mut Room<'_>,
        socket: SocketId,
        frame: Frame<'_>,
        posts: &mut Posts,
    ) -> Result<(), PaperError> {
        self.streams.hear(room, socket, frame, &mut self.switches, posts);
        Ok(())
    }

    fn close(&mut self, socket: SocketId) {
        self.streams.close(socket);
    }

    fn publish(&mut self, room: &mut Room<'_>, heard: &[Update], posts: &mut Posts) {
        let now = room.paper.now();
        let due: Vec<SessionId> =
            self.switches.iter().filter(|(_, at)| **at <= now).map(|(session, _)| *session).collect();
        for session in due {
            self.switches.remove(&session);
            // What cannot be sent is told by the exchange's own failure at the next move.
            let _ = room.paper.send(session, RequestBody::CancelAll { instrument: None });
        }
        let new = self.log.hear(room.paper, heard);
        self.streams.publish(room, heard, (&self.log, new), posts);
    }
}
