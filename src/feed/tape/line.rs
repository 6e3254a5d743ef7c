//! One line of a tape: our own form, and the neutral form of captures.
//!
//! ```json
//! {"t":1700000000123456789,"c":1,"d":"in","x":"{\"table\":\"spot/trade\"}"}
//! {"t":1700000000123456789,"c":1,"d":"in","b":"q1YqSUxK"}
//! {"ts":1626993367388005000,"conn":1,"dir":"in","text":"{}"}
//! ```

use std::borrow::Cow;

use base64::Engine;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Direction;
use crate::market::decimal::parse_units;
use crate::market::swar::{below, equal};
use crate::market::{Pair, Timestamp};
use crate::venue::Frame;

/// What a line holds.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// The first line of our own form.
    Header(HeaderLine<'a>),
    /// A frame that came in or went out.
    Frame { time: Timestamp, connection: u64, direction: Direction, frame: Frame<'a> },
    /// A connection was established.
    Open { time: Timestamp, connection: u64, url: Cow<'a, str> },
}

/// The header as it is written.
#[derive(Debug)]
pub(super) struct HeaderLine<'a> {
    pub(super) venue: Cow<'a, str>,
    pub(super) connector: Cow<'a, str>,
    pub(super) pairs: Vec<Pair>,
    pub(super) start: Option<Timestamp>,
    pub(super) version: u32,
    pub(super) instruments: Option<&'a RawValue>,
}

/// A line that cannot be read: why, and the text there.
pub(super) struct LineFault {
    pub(super) fault: String,
    pub(super) near: String,
}

/// Reads lines; texts and binary frames go into buffers that are used again.
#[derive(Default)]
pub(super) struct LineReader {
    text: String,
    binary: Vec<u8>,
}

/// Every field of every kind of line. Texts with escapes are taken over; in our own form that is rare, because
/// [`own_form`] reads those in place.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(alias = "ts")]
    t: Option<i64>,
    #[serde(alias = "conn", default)]
    c: u64,
    #[serde(borrow, alias = "dir", default)]
    d: Cow<'a, str>,
    #[serde(borrow, alias = "text")]
    x: Option<&'a RawValue>,
    #[serde(borrow)]
    b: Option<&'a RawValue>,
    #[serde(borrow, default)]
    venue: Cow<'a, str>,
    #[serde(borrow, default)]
    connector: Cow<'a, str>,
    #[serde(default)]
    pairs: Vec<Pair>,
    #[serde(borrow)]
    start: Option<&'a RawValue>,
    version: Option<u32>,
    #[serde(borrow)]
    instruments: Option<&'a RawValue>,
}

impl LineReader {
    /// Reads one line.
    pub(super) fn read<'a>(&'a mut self, line: &'a [u8]) -> Result<Entry<'a>, LineFault> {
        // The check and the use are apart because a conditional return would borrow the buffer for both.
        if let Some((time, connection, direction)) = own_form(line, &mut self.text) {
            return Ok(Entry::Frame { time, connection, direction, frame: Frame::Text(&self.text) });
        }
        let line = std::str::from_utf8(line)
            .map_err(|_| fault("not UTF-8".to_owned(), &String::from_utf8_lossy(line)))?;
        self.read_any(line)
    }

    fn read_any<'a>(&'a mut self, line: &'a str) -> Result<Entry<'a>, LineFault> {
        let raw: Raw<'_> = serde_json::from_str(line).map_err(|error| {
            let text = error.to_string();
            fault(text.split(" at line ").next().unwrap_or_default().to_owned(), line)
        })?;
        let fail = |text: &str| fault(text.to_owned(), line);
        if raw.t.is_none() && !raw.venue.is_empty() {
            return header(raw).map_err(|text| fail(&text));
        }
        let time =
            Timestamp::from_nanos(raw.t.ok_or_else(|| fail("t (the time in nanoseconds) is missing"))?);
        let connection = raw.c;
        let direction = match &*raw.d {
            "in" => Direction::In,
            "out" => Direction::Out,
            "open" => {
                let url = raw.x.map(|url| serde_json::from_str(url.get())).transpose();
                return Ok(Entry::Open { time, connection, url: url.ok().flatten().unwrap_or_default() });
            }
            other => return Err(fail(&format!("d {other:?} is none of in, out, open"))),
        };
        let frame = match (raw.x, raw.b) {
            (Some(text), _) => {
                let text: Cow<'_, str> = string(text).ok_or_else(|| fail("x is not a text"))?;
                self.text.clear();
                self.text.push_str(&text);
                Frame::Text(&self.text)
            }
            (None, Some(binary)) => {
                let binary = string(binary).ok_or_else(|| fail("b is not a text"))?;
                self.binary.clear();
                base64::engine::general_purpose::STANDARD
                    .decode_vec(binary.as_bytes(), &mut self.binary)
                    .map_err(|_| fail("b is not base64"))?;
                Frame::Binary(&self.binary)
            }
            (None, None) => return Err(fail("neither x (text) nor b (base64)")),
        };
        Ok(Entry::Frame { time, connection, direction, frame })
    }
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

fn header(raw: Raw<'_>) -> Result<Entry<'_>, String> {
    let start = match raw.start {
        Some(start) => {
            let text = start.get().trim_matches('"');
            Some(text.parse().map_err(|_| format!("start {text:?} is no time"))?)
        }
        None => None,
    };
    let version = raw.version.unwrap_or(super::VERSION);
    Ok(Entry::Header(HeaderLine {
        venue: raw.venue,
        connector: raw.connector,
        pairs: raw.pairs,
        start,
        version,
        instruments: raw.instruments,
    }))
}

fn fault(fault: String, line: &str) -> LineFault {
    LineFault { fault, near: line.chars().take(60).collect() }
}

/// A line as our writer spells it, its text unescaped into `text`. `None`: read it the general way.
fn own_form(line: &[u8], text: &mut String) -> Option<(Timestamp, u64, Direction)> {
    let rest = line.strip_prefix(b"{\"t\":")?;
    let (time, rest) = integer(rest)?;
    let (connection, rest) = integer(rest.strip_prefix(b",\"c\":")?)?;
    let rest = rest.strip_prefix(b",\"d\":\"")?;
    let (direction, rest) = match rest.strip_prefix(b"in") {
        Some(rest) => (Direction::In, rest),
        None => (Direction::Out, rest.strip_prefix(b"out")?),
    };
    let body = rest.strip_prefix(b"\",\"x\":\"")?.strip_suffix(b"\"}")?;
    let mut bytes = std::mem::take(text).into_bytes();
    unescape(body, &mut bytes)?;
    // What is taken out is ASCII: the text is UTF-8 where the line is.
    *text = String::from_utf8(bytes).ok()?;
    Some((Timestamp::from_nanos(time), u64::try_from(connection).ok()?, direction))
}

fn integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let leading_zero = len > 1 && text.starts_with(b"0");
    if len == 0 || len > 19 || leading_zero {
        return None;
    }
    Some((parse_units(&text[..len], 0).ok()?, &text[len..]))
}

/// So many bytes are looked at together.
const STRIDE: usize = 8;

/// The inside of a JSON string with no escapes but `\"`, `\\` and `\/`. Control characters must be escaped in JSON; let the
/// general reader refuse them.
fn unescape(body: &[u8], text: &mut Vec<u8>) -> Option<()> {
    text.clear();
    text.resize(body.len(), 0);
    let (mut at, mut to) = (0, 0);
    while at < body.len() {
        match body[at..].first_chunk::<STRIDE>().zip(text[to..].first_chunk_mut()) {
            // All are taken over; those behind the first that is not plain are written anew.
            Some((chunk, room)) => {
                *room = *chunk;
                let plain = plain_bytes(u64::from_le_bytes(*chunk));
                (at, to) = (at + plain, to + plain);
                if plain == STRIDE {
                    continue;
                }
            }
            None if matches!(body[at], b'\\' | b'"' | 0..b' ') => {}
            None => {
                text[to] = body[at];
                (at, to) = (at + 1, to + 1);
                continue;
            }
        }
        let (b'\\', Some(escaped @ (b'"' | b'\\' | b'/'))) = (body[at], body.get(at + 1)) else {
            return None;
        };
        text[to] = *escaped;
        (at, to) = (at + 2, to + 1);
    }
    text.truncate(to);
    Some(())
}

/// How many bytes, from the first on, are neither a backslash nor a quote nor a control character.
fn plain_bytes(word: u64) -> usize {
    let found = below(word, b' ') | equal(word, b'\\') | equal(word, b'"');
    found.trailing_zeros() as usize / STRIDE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(entry: Result<Entry<'_>, LineFault>) -> String {
        match entry {
            Ok(Entry::Frame { time, connection, direction, frame }) => {
                format!("{} {connection} {direction:?} {frame:?}", time.nanos())
            }
            Ok(Entry::Open { connection, url, .. }) => format!("{connection} open {url}"),
            Ok(Entry::Header(header)) => format!("{header:?}"),
            Err(fault) => format!("fault: {}", fault.fault),
        }
    }

    #[test]
    fn lines_of_every_form() {
        for (line, want) in [
            (r#"{"t":12,"c":1,"d":"in","x":"a \"b\" \\ \/"}"#, r#"12 1 In Text("a \"b\" \\ /")"#),
            (r#"{"t":12,"c":1,"d":"out","x":"\u0041\n"}"#, r#"12 1 Out Text("A\n")"#),
            (r#" { "c":1, "x":"z", "d":"in", "t":12, "new":[] } "#, r#"12 1 In Text("z")"#),
            (r#"{"t":12,"c":1,"d":"in","b":"AAEC"}"#, "12 1 In Binary([0, 1, 2])"),
            (r#"{"ts":12,"conn":2,"dir":"in","text":"{}"}"#, r#"12 2 In Text("{}")"#),
            (r#"{"ts":12,"conn":2,"dir":"open","text":"wss://x"}"#, "2 open wss://x"),
            (r#"{"t":12,"c":1,"d":"in"}"#, "fault: neither x (text) nor b (base64)"),
            (r#"{"t":12,"c":1,"d":"in","b":"*"}"#, "fault: b is not base64"),
            (r#"{"t":12,"c":1,"d":"in","x":5}"#, "fault: x is not a text"),
            (r#"{"t":12,"c":1,"d":"up","x":"z"}"#, "fault: d \"up\" is none of in, out, open"),
            (r#"{"c":1,"d":"in","x":"z"}"#, "fault: t (the time in nanoseconds) is missing"),
            (r#"{"t":12,"c":1,"d":"in","x":"z"#, "fault: EOF while parsing a string"),
            ("garbage", "fault: expected value"),
            ("", "fault: EOF while parsing a value"),
        ] {
            assert_eq!(show(LineReader::default().read(line.as_bytes())), want, "{line}");
        }
        assert_eq!(show(LineReader::default().read(b"\xff")), "fault: not UTF-8");
    }

    proptest! {
        #[test]
        fn reading_in_place_gives_what_the_general_reader_gives(
            line in r#"\{"t":(0|[0-9]{1,20}),"c":[0-9]{1,2},"d":"(in|out)","x":"([a-z{}:, é]|\\"|\\\\|\\n|\\|"){0,12}"\}"#,
        ) {
            let (mut one, mut other) = (LineReader::default(), LineReader::default());
            prop_assert_eq!(show(one.read(line.as_bytes())), show(other.read_any(&line)));
        }
    }
}
