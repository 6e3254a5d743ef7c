//! What a live market has that a recorded one has not: sockets, and something to record.

use std::path::Path;

use serde_json::{Value, json};

use super::{Reply, Shell, ShellError, time, usage, words};
use crate::connector::{Connector, NetworkStatus};
use crate::desk::Opened;
use crate::feed::live::{Health, LiveHandle};
use crate::market::Timestamp;

/// The sockets of a session in lines for `status`; none where its market is not live.
pub(super) fn lines(opened: &Opened) -> String {
    let Some(live) = &opened.about.live else { return String::new() };
    let now = live.now();
    let ready = if is_ready(opened) { "yes" } else { "no" };
    let mut text = format!("  {:<9} {ready}\n", "ready");
    for socket in live.health() {
        text.push_str(&format!("  {:<9} {}\n", "socket", line(&socket, now)));
    }
    if live.dropped() > 0 {
        let lost = words::count(live.dropped(), "message");
        text.push_str(&format!("  {:<9} {lost} went lost: nobody took them in time\n", "queue"));
    }
    if let Some(state) = recording(live) {
        text.push_str(&format!("  {:<9} {state}\n", "record"));
    }
    text
}

fn is_ready(opened: &Opened) -> bool {
    opened.connector.status_dict().iter().all(|(_, there)| *there)
        && opened.connector.network_status() == NetworkStatus::Connected
}

fn line(socket: &Health, now: Timestamp) -> String {
    let state = if socket.open { "open" } else { "not open" };
    let heard = match socket.heard {
        Some(heard) => format!("last frame {} ago", time::length(now.nanos_since(heard))),
        None => "no frame yet".to_owned(),
    };
    let mut text = format!(
        "{} {state} for {}, {heard}; books {} of {}; opened {}, lost {}, books asked for anew {}",
        socket.url,
        time::length(now.nanos_since(socket.since)),
        socket.ready,
        socket.books,
        socket.connects,
        socket.losses,
        socket.renewed
    );
    if let Some(trouble) = &socket.trouble {
        text.push_str(&format!("; last trouble: {trouble}"));
    }
    text
}

fn recording(live: &LiveHandle) -> Option<String> {
    Some(match live.recording()? {
        Ok(done) => {
            let file = done.files.last().map(|file| file.display().to_string()).unwrap_or_default();
            format!("{file}, {}", words::count(done.frames, "frame"))
        }
        Err(error) => format!("stopped: {error}"),
    })
}

/// The same for programs.
pub(super) fn add_to(mut json: Value, opened: &Opened) -> Value {
    if let (Some(live), Value::Object(fields)) = (&opened.about.live, &mut json) {
        let socket = |socket: &Health| {
            json!({
                "url": socket.url, "open": socket.open, "since": socket.since.to_string(),
                "heard": socket.heard.map(|time| time.to_string()), "frames": socket.frames,
                "connects": socket.connects, "losses": socket.losses, "renewed": socket.renewed,
                "ready": socket.ready, "books": socket.books, "trouble": socket.trouble,
            })
        };
        let sockets: Vec<Value> = live.health().iter().map(socket).collect();
        fields.insert("ready".to_owned(), is_ready(opened).into());
        fields.insert("sockets".to_owned(), sockets.into());
        fields.insert("dropped".to_owned(), live.dropped().into());
    }
    json
}

impl Shell {
    /// `record DIR|stop`.
    pub(super) fn record(&mut self, rest: &[&str]) -> Result<Reply, ShellError> {
        let Some(live) = &self.opened()?.about.live else {
            let why = "only a live market is recorded; this one is a recording already";
            return Err(ShellError(format!("record: {why}")));
        };
        match rest {
            ["stop"] => match live.stop_recording() {
                Some(Ok(done)) => {
                    let files: Vec<String> =
                        done.files.iter().map(|file| file.display().to_string()).collect();
                    let frames = words::count(done.frames, "frame");
                    let text = format!("Recorded {frames} into {}.\n", files.join(", "));
                    Ok(Reply::new(text, json!({"recorded": files, "frames": done.frames})))
                }
                Some(Err(error)) => Err(ShellError(format!("record: {error}"))),
                None => Err(ShellError("record: nothing is being recorded".to_owned())),
            },
            [folder] => {
                if live.recording().is_some() {
                    return Err(ShellError(
                        "record: it is being recorded already (`record stop` ends it)".to_owned(),
                    ));
                }
                let failed = |error| ShellError(format!("record {folder}: {error}"));
                let file = live.record_into(Path::new(folder)).map_err(failed)?;
                let text = format!("Recording into {}; `record stop` ends it.\n", file.display());
                Ok(Reply::new(text, json!({"recording": file.display().to_string()})))
            }
            _ => Err(usage("record")),
        }
    }
}
