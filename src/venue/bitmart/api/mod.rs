//! BitMart's own interface, served: REST v1 to v4 of spot, v2 of contracts, and the public and private sockets of both.
//!
//! Never here: margin loans, deposits, withdrawals and transfers (answered as for a key without that permission). Start
//! at [`BitmartApi`]; `routes` has the table of requests, `streams` the sockets of spot, `contract` has contracts.

mod account;
mod auth;
mod changes;
mod contract;
mod fields;
mod orders;
mod public;
mod push;
mod query;
mod reply;
mod routes;
mod shape;
mod streams;
#[cfg(test)]
mod tests;
mod topic;

use crate::paper::PaperError;
use crate::sim::Update;
use crate::venue::Frame;
use crate::venue::api::{Call, Called, Fault, NativeApi, Posts, Reply, Room, SocketId};
use crate::venue::limits::Limits;

use streams::Streams;

/// BitMart's interface over one exchange.
#[derive(Debug, Default)]
pub(super) struct BitmartApi {
    limits: Limits,
    streams: Streams,
    contract_streams: contract::Streams,
    memory: contract::Memory,
    /// How many replies there were: each has a trace of its own.
    replies: u64,
}

impl NativeApi for BitmartApi {
    fn hosts(&self) -> &'static [&'static str] {
        &[
            "api-cloud.bitmart.com",
            "api-cloud-v2.bitmart.com",
            "ws-manager-compress.bitmart.com",
            "openapi-ws-v2.bitmart.com",
        ]
    }

    fn socket_path(&self) -> &'static str {
        "/api?protocol=1.1"
    }

    fn call(&mut self, room: &mut Room<'_>, call: &Call<'_>) -> Result<Called, PaperError> {
        self.replies += 1;
        routes::answer(&mut self.limits, &mut self.memory, self.replies, room, call)
    }

    fn fault(&self, fault: Fault) -> Reply {
        let (status, code, message) = match fault {
            Fault::TooLarge => (400, 50_000, "Bad Request [body is too large]"),
            Fault::Broken => (400, 50_000, "Bad Request [body is broken]"),
            Fault::Down => (503, 30_014, "Service unavailable"),
        };
        reply::failure(status, code, message, self.replies)
    }

    fn open(
        &mut self,
        _: &mut Room<'_>,
        socket: SocketId,
        call: &Call<'_>,
        _: &mut Posts,
    ) -> Result<(), Reply> {
        let private = match call.path {
            "/api" => false,
            "/user" => true,
            _ => return Err(reply::failure(404, 30_000, "Not found", self.replies)),
        };
        // The sockets of both hosts have the same paths: the first frame tells them apart.
        self.streams.open(socket, private, call);
        self.contract_streams.open(socket, private);
        Ok(())
    }

    fn hear(
        &mut self,
        room: &mut Room<'_>,
        socket: SocketId,
        frame: Frame<'_>,
        posts: &mut Posts,
    ) -> Result<(), PaperError> {
        if self.contract_streams.is_for_it(socket, frame) {
            self.contract_streams.hear(room, socket, frame, &self.memory, posts);
        } else {
            self.streams.hear(room, socket, frame, posts);
        }
        Ok(())
    }

    fn close(&mut self, socket: SocketId) {
        self.streams.close(socket);
        self.contract_streams.close(socket);
    }

    fn publish(&mut self, room: &mut Room<'_>, heard: &[Update], posts: &mut Posts) {
        self.memory.look(room, heard);
        self.streams.publish(room, heard, posts);
        self.contract_streams.publish(room, heard, &self.memory, posts);
    }
}
