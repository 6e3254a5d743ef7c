//! What an exchange trades now, from its REST interface; kept on disk for when there is no network.
//!
//! Never here: what a reply means (venues), which of the instruments are wanted. Start at [`Lister::entries`].

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::socket::install_tls;
use crate::feed::outfile::OutFile;
use crate::market::Timestamp;
use crate::venue::Venue;
use crate::venue::catalogue::Entry;
use crate::venue::live::Hosts;

/// A kept list that is younger is not asked for again.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A reply that is longer is no list of instruments.
const LONGEST: usize = 64 << 20;

/// Where lists come from, and where they are kept.
pub(crate) struct Lister<'a> {
    pub(crate) venue: &'static dyn Venue,
    /// [`crate::market::Product::family`].
    pub(crate) families: &'a [&'a str],
    pub(crate) hosts: &'a Hosts,
    /// The folder of the lists; none: nothing is kept.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) now: Timestamp,
}

/// A list as it is kept: the replies word by word, so that a better reader may read them anew.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    fetched_ns: Timestamp,
    replies: Vec<Reply>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Reply {
    url: String,
    body: String,
}

impl Lister<'_> {
    /// The exchange's instruments, the built-in ones last, and what the user should know of where they come from.
    pub(crate) fn entries(&self) -> (Vec<Entry>, Option<String>) {
        let (mut entries, note) = match self.asks() {
            true => self.listed(),
            false => (Vec::new(), None),
        };
        let built_in = self.venue.catalogue();
        entries.extend(built_in.into_iter().flat_map(|catalogue| catalogue.entries));
        (entries, note)
    }

    /// Whether there is somebody to ask: an exchange that closed has no list, and who plays an exchange on another host
    /// has one only if its address is named.
    fn asks(&self) -> bool {
        self.hosts.rest.is_some() || (self.hosts.ws.is_none() && self.venue.closed().is_none())
    }

    fn listed(&self) -> (Vec<Entry>, Option<String>) {
        let kept = self.kept();
        let age = |kept: &Kept| self.now.nanos_since(kept.fetched_ns);
        let fresh = |kept: &&Kept| (0..FRESH.as_nanos() as i64).contains(&age(kept));
        if let Some(kept) = kept.as_ref().filter(fresh) {
            return (self.read(&kept.replies), None);
        }
        let fault = match self.fetch() {
            Ok(replies) => {
                let entries = self.read(&replies);
                if !entries.is_empty() {
                    let note = self
                        .keep(replies)
                        .err()
                        .map(|error| format!("the list of instruments cannot be kept: {error}"));
                    return (entries, note);
                }
                "it names none".to_owned()
            }
            Err(error) => error,
        };
        let instead = match &kept {
            Some(kept) => format!("the list of {} is used", kept.fetched_ns),
            None => "the built-in one is used".to_owned(),
        };
        let note = format!("the exchange's list of instruments could not be had ({fault}); {instead}");
        (kept.map(|kept| self.read(&kept.replies)).unwrap_or_default(), Some(note))
    }

    fn read(&self, replies: &[Reply]) -> Vec<Entry> {
        replies.iter().flat_map(|reply| self.venue.reply_instruments(&reply.url, &reply.body)).collect()
    }

    fn urls(&self) -> Vec<String> {
        self.families.iter().flat_map(|family| self.venue.listings(family, self.hosts)).collect()
    }

    /// All replies, or why one of them could not be had.
    fn fetch(&self) -> Result<Vec<Reply>, String> {
        install_tls();
        let words = |error: &dyn std::error::Error| match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| words(&error))?;
        let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|error| words(&error))?;
        let one = |url: String| {
            let client = &client;
            async move {
                let reply = client.get(&url).send().await?.error_for_status()?;
                let body = reply.text().await?;
                Ok::<_, reqwest::Error>(Reply { url, body })
            }
        };
        runtime.block_on(async {
            let mut replies = Vec::new();
            for url in self.urls() {
                let reply = one(url).await.map_err(|error| words(&error))?;
                if reply.body.len() > LONGEST {
                    return Err(format!("{} answers with {} bytes", reply.url, reply.body.len()));
                }
                replies.push(reply);
            }
            Ok(replies)
        })
    }

    /// Lists of another host are not mixed with the exchange's own.
    fn file(&self) -> Option<PathBuf> {
        let host: String = self.hosts.rest.iter().flat_map(|host| host.chars()).collect();
        let host: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let dash = if host.is_empty() { "" } else { "-" };
        let name = format!("{}-{}{dash}{host}.json", self.venue.name(), self.families.join("-"));
        self.folder.map(|folder| folder.join(name))
    }

    /// What is kept; a file that cannot be read is as good as none.
    fn kept(&self) -> Option<Kept> {
        let text = std::fs::read_to_string(self.file()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn keep(&self, replies: Vec<Reply>) -> std::io::Result<()> {
        let (Some(folder), Some(file)) = (self.folder, self.file()) else { return Ok(()) };
        std::fs::create_dir_all(folder)?;
        let mut out = OutFile::create(&file)?;
        out.write_all(serde_json::to_string(&Kept { fetched_ns: self.now, replies })?.as_bytes())?;
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers so many requests with this body, then is gone.
    fn serve(times: usize, body: &'static str) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            for _ in 0..times {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4_096];
                let read = stream.read(&mut request).unwrap();
                assert!(request[..read].starts_with(b"GET /api/3/public/symbol HTTP/1.1"));
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
                write!(stream, "{head}{}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        (address, thread)
    }

    const LIST: &str = r#"{"ABCUSDT":{"type":"spot","base_currency":"ABC","quote_currency":"USDT","status":"working","quantity_increment":"0.1","tick_size":"0.01","take_rate":"0.0025","make_rate":"0.001","fee_currency":"USDT"}}"#;

    #[test]
    fn a_list_is_asked_for_kept_and_used_when_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        let (address, server) = serve(1, LIST);
        let hosts = Hosts { ws: None, rest: Some(address) };
        let at = |hours: i64| Timestamp::from_millis(1_700_000_000_000 + hours * 3_600_000);
        let lister = |now| Lister {
            venue: &crate::venue::hitbtc::Hitbtc,
            families: &["spot"],
            hosts: &hosts,
            folder: Some(folder.path()),
            now,
        };
        let first = |now| {
            let (entries, note) = lister(now).entries();
            (entries[0].instrument.symbol.to_string(), entries.len(), note)
        };
        let (symbol, all, note) = first(at(0));
        assert_eq!((symbol.as_str(), note), ("ABCUSDT", None));
        server.join().unwrap();
        // Young enough, then too old and nobody there.
        assert_eq!(first(at(0)), ("ABCUSDT".to_owned(), all, None));
        let (symbol, _, note) = first(at(2));
        assert_eq!(symbol, "ABCUSDT");
        assert!(note.unwrap().ends_with("the list of 2023-11-14T22:13:20Z is used"));
        let other = Lister { folder: None, ..lister(at(2)) };
        let (entries, note) = other.entries();
        assert_eq!(entries.len(), all - 1);
        assert!(note.unwrap().ends_with("the built-in one is used"));
    }

    #[test]
    fn nobody_is_asked_where_an_exchange_is_played_or_has_closed() {
        let played = Hosts { ws: Some("ws://127.0.0.1:1".to_owned()), rest: None };
        let none = Hosts::default();
        let cases: [(&'static dyn Venue, &Hosts, bool); 3] = [
            (&crate::venue::hitbtc::Hitbtc, &played, false),
            (&crate::venue::bitmex::Bitmex, &none, false),
            (&crate::venue::hitbtc::Hitbtc, &none, true),
        ];
        for (venue, hosts, want) in cases {
            let now = Timestamp::from_nanos(0);
            let lister = Lister { venue, families: &["spot"], hosts, folder: None, now };
            assert_eq!(lister.asks(), want, "{}", venue.name());
        }
    }
}
