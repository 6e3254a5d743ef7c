//! What a venue's public socket wants beside market data: where it is, what to send, what an answer means, when to ping.
//!
//! A [`Session`] does no IO and knows no time: who holds the socket asks it. No venue here needs a book by REST: each
//! sends a whole book when a channel is subscribed, so a book is asked for anew by subscribing anew.
//! Never here: sockets, what market data means (decoders). Start at [`Session`].

use std::time::Duration;

use smol_str::SmolStr;

use crate::market::Instrument;

/// What is said on one public socket.
pub trait Session: Send {
    /// Where the socket is.
    fn url(&self) -> &str;

    /// The symbols whose books it shows, in the order of [`Known::declared`](super::Known::declared).
    fn symbols(&self) -> &[SmolStr];

    /// The frames that subscribe everything, in order; sent once the socket is open.
    fn hello(&self) -> Vec<String>;

    /// The frames that ask for the whole books of these symbols anew.
    fn renew(&self, symbols: &[&str]) -> Vec<String>;

    /// What a frame without market data means.
    fn hear(&self, text: &str) -> Heard;

    /// How the socket is kept alive, and what it can show.
    fn manners(&self) -> Manners;
}

/// What a frame means beside market data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that a client acts on: answers to subscriptions, pongs, statistics.
    Nothing,
    /// The exchange wants this frame back.
    Reply(&'static str),
    /// The exchange refused something; its words.
    Refused(String),
}

/// How a socket is kept alive, and what it can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// What a ping is.
    pub ping: Ping,
    /// How often one is sent.
    pub every: Duration,
    /// A socket on which nothing at all came for so long is dead.
    pub silence: Duration,
    /// The least time between two frames that a client sends.
    pub pace: Duration,
    /// Whether a message that went lost shows by its numbers or sums. Where it does not, a frame that cannot be read
    /// makes every book of the socket one that cannot be believed.
    pub shows_gaps: bool,
}

/// What a ping is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    /// A ping frame of the WebSocket protocol.
    Frame,
    /// A text frame.
    Text(&'static str),
}

/// Other hosts than the venue's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Of sockets: `ws://127.0.0.1:9000`, with or without a path.
    pub ws: Option<String>,
    /// Of the REST interface.
    pub rest: Option<String>,
}

impl Hosts {
    /// The address of a socket, `own` where nobody named another. A name without a path keeps the venue's path.
    pub fn socket(&self, own: &str) -> String {
        Self::choose(self.ws.as_deref(), own)
    }

    /// The address of a REST reply.
    pub fn reply(&self, own: &str) -> String {
        Self::choose(self.rest.as_deref(), own)
    }

    fn choose(other: Option<&str>, own: &str) -> String {
        let Some(other) = other else { return own.to_owned() };
        let host_of = |url: &str| url.find("://").map_or(0, |at| at + 3);
        let bare = other.trim_end_matches('/');
        if bare[host_of(bare)..].contains(['/', '?']) && !own.starts_with("http") {
            return other.to_owned();
        }
        let rest = &own[host_of(own)..];
        let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        format!("{bare}{path}")
    }
}

/// The words of one dialect of an exchange: how lists of topics become frames.
pub(crate) struct Dialect {
    /// Frames that subscribe topics.
    pub(crate) subscribe: fn(&[String]) -> Vec<String>,
    /// Frames that ask for the books behind these topics anew; the second list is all book topics of the socket.
    pub(crate) renew: fn(&[String], &[String]) -> Vec<String>,
    /// What a frame without market data means.
    pub(crate) hear: fn(&str) -> Heard,
    /// How it is kept alive.
    pub(crate) manners: Manners,
}

/// A session whose subscriptions are topics: one for each book, and others.
pub(crate) struct Topics {
    pub(crate) url: String,
    pub(crate) symbols: Vec<SmolStr>,
    /// By symbol.
    pub(crate) books: Vec<String>,
    pub(crate) others: Vec<String>,
    pub(crate) dialect: &'static Dialect,
}

impl Session for Topics {
    fn url(&self) -> &str {
        &self.url
    }

    fn symbols(&self) -> &[SmolStr] {
        &self.symbols
    }

    fn hello(&self) -> Vec<String> {
        let all: Vec<String> = self.books.iter().chain(&self.others).cloned().collect();
        (self.dialect.subscribe)(&all)
    }

    fn renew(&self, symbols: &[&str]) -> Vec<String> {
        let wanted = |symbol: &SmolStr| symbols.contains(&symbol.as_str());
        let both = self.symbols.iter().zip(&self.books);
        let some: Vec<String> =
            both.filter(|(symbol, _)| wanted(symbol)).map(|(_, topic)| topic.clone()).collect();
        if some.is_empty() { Vec::new() } else { (self.dialect.renew)(&some, &self.books) }
    }

    fn hear(&self, text: &str) -> Heard {
        (self.dialect.hear)(text)
    }

    fn manners(&self) -> Manners {
        self.dialect.manners
    }
}

/// Sessions of at most `most` symbols each.
pub(crate) fn sessions_of(
    instruments: &[&Instrument],
    most: usize,
    build: impl Fn(&[&Instrument]) -> Topics,
) -> Vec<Box<dyn Session>> {
    instruments.chunks(most).map(|chunk| Box::new(build(chunk)) as Box<dyn Session>).collect()
}

/// The symbols of instruments.
pub(crate) fn symbols_of(instruments: &[&Instrument]) -> Vec<SmolStr> {
    instruments.iter().map(|instrument| instrument.symbol.clone()).collect()
}

/// Frames of lists: `head` and `tail` around texts joined by commas, at most `most` of them and `longest` bytes a frame.
pub(crate) fn lists(
    topics: &[String],
    (head, tail): (&str, &str),
    (most, longest): (usize, usize),
) -> Vec<String> {
    let mut frames = Vec::new();
    let (mut frame, mut count) = (head.to_owned(), 0);
    for topic in topics {
        let full = count == most || frame.len() + topic.len() + 1 + tail.len() > longest;
        if count > 0 && full {
            frame.push_str(tail);
            frames.push(std::mem::replace(&mut frame, head.to_owned()));
            count = 0;
        }
        if count > 0 {
            frame.push(',');
        }
        frame.push_str(topic);
        count += 1;
    }
    if count > 0 {
        frame.push_str(tail);
        frames.push(frame);
    }
    frames
}

/// A text as JSON writes it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A refusal in the exchange's words, cut to what fits a line.
pub(crate) fn refused(text: &str) -> Heard {
    Heard::Refused(text.chars().take(200).collect())
}

/// What tests of sessions read: a line for where it is and how it is kept, then the frames.
#[cfg(test)]
pub(crate) fn show(sessions: &[Box<dyn Session>]) -> Vec<String> {
    let mut lines = Vec::new();
    for session in sessions {
        let Manners { ping, every, silence, pace, shows_gaps } = session.manners();
        lines.push(format!(
            "{} {:?} ping {ping:?} every {every:?} silence {silence:?} pace {pace:?} gaps {shows_gaps}",
            session.url(),
            session.symbols()
        ));
        lines.extend(session.hello());
        let first: Vec<&str> = session.symbols().iter().take(1).map(SmolStr::as_str).collect();
        lines.extend(session.renew(&first).iter().map(|frame| format!("again {frame}")));
        assert!(session.renew(&["NOBODY"]).is_empty());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_keep_the_path_unless_they_bring_their_own() {
        let own = "wss://api.hitbtc.com/api/3/ws/public";
        for (other, want) in [
            (None, own),
            (Some("ws://127.0.0.1:9000"), "ws://127.0.0.1:9000/api/3/ws/public"),
            (Some("ws://127.0.0.1:9000/"), "ws://127.0.0.1:9000/api/3/ws/public"),
            (Some("ws://127.0.0.1:9000/api/2/ws"), "ws://127.0.0.1:9000/api/2/ws"),
            (Some("127.0.0.1:9000"), "127.0.0.1:9000/api/3/ws/public"),
        ] {
            let hosts = Hosts { ws: other.map(str::to_owned), rest: None };
            assert_eq!(hosts.socket(own), want);
        }
        let hosts = Hosts { ws: None, rest: Some("http://127.0.0.1:8000/here/".to_owned()) };
        assert_eq!(hosts.reply("https://a.b/c?d=e"), "http://127.0.0.1:8000/here/c?d=e");
    }

    #[test]
    fn lists_are_cut_by_number_and_by_length() {
        let topics: Vec<String> = ["\"a\"", "\"b\"", "\"c\""].map(str::to_owned).to_vec();
        assert_eq!(lists(&topics, ("[", "]"), (2, 100)), [r#"["a","b"]"#, r#"["c"]"#]);
        assert_eq!(lists(&topics, ("[", "]"), (9, 8)), [r#"["a"]"#, r#"["b"]"#, r#"["c"]"#]);
        assert_eq!(lists(&topics, ("[", "]"), (9, 9)), [r#"["a","b"]"#, r#"["c"]"#]);
        assert!(lists(&[], ("[", "]"), (2, 100)).is_empty());
    }
}
