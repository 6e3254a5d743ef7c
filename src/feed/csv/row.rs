//! One row as numbers: in place from the standard layout, or field by field from a record. Both mean the same.

use super::buffer::{Record, WINDOW};
use super::cell::{self, LARGEST, RowFault, nanos};
use super::columns::{Columns, Role};
use super::kind::CsvKind;
use crate::market::swar::{StampCache, decimal};
use crate::market::{Price, Qty, Side};

/// The longest `exchange,symbol,` that is compared in place.
const PREFIX: usize = 48;
/// What the rest of a row parsed in place may take.
const REST: usize = WINDOW - PREFIX;
/// The longest head of a book row, up to its side, that is compared in place.
const HEAD: usize = 64;
/// The longest trade id in a row parsed in place.
const LONGEST_ID: usize = 64;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The reader's number of its symbol.
    pub(super) symbol: usize,
    /// Whether it is marked as part of a snapshot.
    pub(super) snapshot: bool,
    /// Side of the book or of the aggressor.
    pub(super) side: Option<Side>,
    /// Nanoseconds.
    pub(super) exchange_time: i64,
    /// Nanoseconds.
    pub(super) receive_time: i64,
    pub(super) price: Price,
    pub(super) qty: Qty,
}

impl Row {
    /// Whether the two come from one exchange message.
    #[inline]
    pub(super) fn same_message(&self, other: &Self) -> bool {
        (self.receive_time ^ other.receive_time)
            | (self.exchange_time ^ other.exchange_time)
            | i64::from(self.snapshot != other.snapshot)
            | (self.symbol ^ other.symbol) as i64
            == 0
    }
}

/// `exchange,symbol,` as it stands at the beginning of a row, to be compared a word at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    len: usize,
    text: [u128; PREFIX / 16],
    mask: [u128; PREFIX / 16],
}

impl Prefix {
    /// `None` where it is too long, or would be quoted.
    pub(super) fn new(exchange: &[u8], symbol: &[u8]) -> Option<Self> {
        let text = [exchange, b",", symbol, b","].concat();
        let odd = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
        if text.len() > PREFIX || exchange.iter().chain(symbol).any(odd) {
            return None;
        }
        let mut padded = [0; WINDOW];
        padded[..text.len()].copy_from_slice(&text);
        Some(Self { len: text.len(), text: words(&padded), mask: mask(text.len()) })
    }

    #[inline(always)]
    pub(super) fn begins(&self, window: &[u8; WINDOW]) -> bool {
        is_alike(window, &self.text, &self.mask)
    }
}

/// The first bytes as words.
#[inline(always)]
fn words<const WORDS: usize>(window: &[u8; WINDOW]) -> [u128; WORDS] {
    let (words, _) = window.as_chunks::<16>();
    std::array::from_fn(|index| u128::from_le_bytes(words[index]))
}

/// Whether the first bytes are `text`, but for those that a mask leaves out. All words are looked at without a branch
/// between them: comparing the arrays would call a function of the system's for 64 bytes.
#[inline(always)]
fn is_alike<const WORDS: usize>(window: &[u8; WINDOW], text: &[u128; WORDS], mask: &[u128; WORDS]) -> bool {
    let words: [u128; WORDS] = words(window);
    // Counted, not zipped: the iterators would be put into memory for each row.
    let mut differs = 0;
    for index in 0..WORDS {
        differs |= (words[index] ^ text[index]) & mask[index];
    }
    differs == 0
}

/// What keeps the first `len` bytes.
const fn mask<const WORDS: usize>(len: usize) -> [u128; WORDS] {
    let mut mask = [0; WORDS];
    let mut index = 0;
    while index < WORDS {
        let rest = len.saturating_sub(index * 16);
        mask[index] = if rest < 16 { (1 << (rest * 8)) - 1 } else { u128::MAX };
        index += 1;
    }
    mask
}

/// The masks of all heads, by length.
static MASKS: [[u128; HEAD / 16]; HEAD + 1] = {
    let mut masks = [[0; HEAD / 16]; HEAD + 1];
    let mut len = 0;
    while len <= HEAD {
        masks[len] = mask(len);
        len += 1;
    }
    masks
};

/// A book row up to its side, as it stands in the file: most rows of a message begin alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    len: usize,
    /// As many bytes of the row as a head may have.
    text: [u128; HEAD / 16],
    scales: Scales,
    /// What it says; side, price and amount are not its own.
    row: Row,
}

impl Head {
    /// Of a row that begins the window; `None` where it is too long.
    #[inline(always)]
    fn new(window: &[u8; WINDOW], len: usize, scales: Scales, row: Row) -> Option<Self> {
        (len <= HEAD).then(|| Self { len, text: words(window), scales, row })
    }

    /// Whether rows that begin with it are of the message that this row is of.
    #[inline]
    pub(super) fn is_of(&self, row: &Row) -> bool {
        self.row.same_message(row)
    }

    /// Side, price, amount and length of a book row that begins with it; `None` where it does not, or is no ordinary
    /// row.
    #[inline(always)]
    pub(super) fn offer(&self, window: &[u8; WINDOW]) -> Option<(Side, Price, Qty, usize)> {
        if !is_alike(window, &self.text, MASKS.get(self.len)?) {
            return None;
        }
        let rest: &[u8; WINDOW - HEAD] = window.get(self.len..)?.first_chunk()?;
        let (side, price, qty, len) = offer(rest, 0, self.scales)?;
        Some((side, price, qty, self.len + len))
    }
}

/// The scales of a symbol, and its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    pub(super) symbol: usize,
    pub(super) price: u8,
    pub(super) qty: u8,
}

/// Time stamps as they stood in the rows before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamps {
    exchange: StampCache,
    receive: StampCache,
}

/// Parses a book row of the standard layout whose prefix is known and whose time stamps have `DIGITS` digits.
/// Returns it with its length, line feed included, and puts its head where the next rows look first.
#[inline(always)]
pub(super) fn book_row<const DIGITS: usize>(
    window: &[u8; WINDOW],
    prefix: &Prefix,
    scales: Scales,
    stamps: &mut Stamps,
    head: &mut Option<Head>,
) -> Option<(Row, usize)> {
    let rest: &[u8; REST] = window.get(prefix.len..)?.first_chunk()?;
    let (exchange_time, receive_time) = times::<DIGITS>(rest, stamps)?;
    let flag = DIGITS * 2 + 2;
    let word = u64::from_le_bytes(*rest.get(flag..)?.first_chunk()?);
    let snapshot = word as u32 == u32::from_le_bytes(*b"true");
    let after = if snapshot {
        (word >> 32) as u8 == b','
    } else {
        word & 0xffff_ffff_ffff == u64::from_le_bytes(*b"false,\0\0")
    };
    if !after {
        return None;
    }
    let side_at = flag + 6 - usize::from(snapshot);
    let (side, price, qty, len) = offer(rest, side_at, scales)?;
    let side = Some(side);
    let row = Row { symbol: scales.symbol, snapshot, side, exchange_time, receive_time, price, qty };
    *head = Head::new(window, prefix.len + side_at, scales, row);
    Some((row, prefix.len + len))
}

/// The rest of a book row from its side on: side, price, amount and where it ends.
#[inline(always)]
fn offer<const N: usize>(rest: &[u8; N], at: usize, scales: Scales) -> Option<(Side, Price, Qty, usize)> {
    let side = u32::from_le_bytes(*rest.get(at..)?.first_chunk()?);
    let bid = side == u32::from_le_bytes(*b"bid,");
    if !bid && side != u32::from_le_bytes(*b"ask,") {
        return None;
    }
    let (price, qty, len) = values(rest, at + 4, scales, 0)?;
    Some((if bid { Side::Buy } else { Side::Sell }, price, qty, len))
}

/// The same for a trades row; its id is put into `id`.
#[inline(always)]
pub(super) fn trade_row<const DIGITS: usize>(
    window: &[u8; WINDOW],
    prefix: &Prefix,
    scales: Scales,
    stamps: &mut Stamps,
    id: &mut Vec<u8>,
) -> Option<(Row, usize)> {
    let rest: &[u8; REST] = window.get(prefix.len..)?.first_chunk()?;
    let (exchange_time, receive_time) = times::<DIGITS>(rest, stamps)?;
    let id_at = DIGITS * 2 + 2;
    let text: &[u8; LONGEST_ID] = rest.get(id_at..)?.first_chunk()?;
    let id_len = memchr::memchr3(b',', b'"', b'\n', text).filter(|at| text[*at] == b',')?;
    let found = &text[..id_len];
    if found.contains(&b'\r') {
        return None;
    }
    let side_at = id_at + id_len + 1;
    let word = u64::from_le_bytes(*rest.get(side_at..)?.first_chunk()?);
    let (side, side_len) = if word as u32 == u32::from_le_bytes(*b"buy,") {
        (Some(Side::Buy), 4)
    } else if word & 0xff_ffff_ffff == u64::from_le_bytes(*b"sell,\0\0\0") {
        (Some(Side::Sell), 5)
    } else if word == u64::from_le_bytes(*b"unknown,") {
        (None, 8)
    } else {
        return None;
    };
    let (price, qty, len) = values(rest, side_at + side_len, scales, 1)?;
    id.clear();
    id.extend_from_slice(found);
    let row = Row { symbol: scales.symbol, snapshot: false, side, exchange_time, receive_time, price, qty };
    Some((row, prefix.len + len))
}

/// The two time stamps, each followed by a comma.
#[inline(always)]
fn times<const DIGITS: usize>(rest: &[u8; REST], stamps: &mut Stamps) -> Option<(i64, i64)> {
    if rest[DIGITS] != b',' || rest[DIGITS * 2 + 1] != b',' {
        return None;
    }
    let exchange = stamp::<DIGITS>(rest.first_chunk()?, &mut stamps.exchange)?;
    let receive = stamp::<DIGITS>(rest.get(DIGITS + 1..)?.first_chunk()?, &mut stamps.receive)?;
    Some((exchange, receive))
}

/// Sixteen digits of microseconds or nineteen of nanoseconds.
#[inline(always)]
fn stamp<const DIGITS: usize>(text: &[u8; 24], cache: &mut StampCache) -> Option<i64> {
    let mut value = cache.sixteen(text.first_chunk()?)?;
    for digit in text.get(16..DIGITS)? {
        value = value * 10 + u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    nanos(value)
}

/// Price, amount and the end of the line.
#[inline(always)]
fn values<const N: usize>(
    rest: &[u8; N],
    price_at: usize,
    scales: Scales,
    least: i64,
) -> Option<(Price, Qty, usize)> {
    let price = decimal(rest.get(price_at..)?.first_chunk()?, scales.price)?;
    let qty_at = price_at + price.len + 1;
    let qty = decimal(rest.get(qty_at..)?.first_chunk()?, scales.qty)?;
    let end = qty_at + qty.len;
    let carriage = qty.end == b'\r';
    let ended = qty.end == b'\n' || (carriage && *rest.get(end + 1)? == b'\n');
    let fits = price.units > 0 && price.units < LARGEST && qty.units >= least && qty.units < LARGEST;
    (price.end == b',' && ended && fits).then_some((
        Price::from_units(price.units),
        Qty::from_units(qty.units),
        end + 1 + usize::from(carriage),
    ))
}

/// Everything of a row but what needs its symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    snapshot: bool,
    side: Option<Side>,
    exchange_time: i64,
    receive_time: i64,
}

/// Reads a record's fields by their names.
pub(super) struct Fields<'a> {
    pub(super) columns: &'a Columns,
    pub(super) record: &'a Record,
}

impl<'a> Fields<'a> {
    /// What stands in a column.
    pub(super) fn get(&self, role: Role) -> &'a [u8] {
        self.record.get(self.columns.index(role))
    }

    /// A fault of one column.
    pub(super) fn fault(&self, role: Role, fault: impl Into<String>) -> RowFault {
        let value = cell::crop(&String::from_utf8_lossy(self.get(role)));
        let name = self.columns.name(role).to_owned();
        RowFault { column: self.columns.index(role), name, value, fault: fault.into() }
    }

    /// A text of letters that can name something.
    pub(super) fn text(&self, role: Role) -> Result<&'a str, RowFault> {
        cell::name(self.get(role)).map_err(|fault| self.fault(role, fault))
    }

    /// All that does not need the symbol.
    pub(super) fn plain(&self) -> Result<Plain, RowFault> {
        let wanted = self.columns.count;
        if self.record.len() != wanted {
            return Err(cell::wrong_width(self.record.len(), wanted));
        }
        Ok(Plain {
            exchange_time: self.time(Role::Timestamp)?,
            receive_time: self.time(Role::LocalTimestamp)?,
            snapshot: self.columns.kind == CsvKind::Book && self.flag()?,
            side: self.side()?,
        })
    }

    /// The row, once the scales of its symbol are known.
    pub(super) fn row(&self, plain: Plain, scales: Scales) -> Result<Row, RowFault> {
        let price = cell::price(self.get(Role::Price), scales.price);
        let price = price.map_err(|fault| self.fault(Role::Price, fault))?;
        let qty = cell::units(self.get(Role::Amount), scales.qty);
        let qty = qty.map_err(|fault| self.fault(Role::Amount, fault))?;
        if qty == 0 && self.columns.kind != CsvKind::Book {
            return Err(self.fault(Role::Amount, "is zero"));
        }
        Ok(Row {
            symbol: scales.symbol,
            snapshot: plain.snapshot,
            side: plain.side,
            exchange_time: plain.exchange_time,
            receive_time: plain.receive_time,
            price: Price::from_units(price),
            qty: Qty::from_units(qty),
        })
    }

    fn time(&self, role: Role) -> Result<i64, RowFault> {
        cell::stamp(self.get(role)).map_err(|fault| self.fault(role, fault))
    }

    fn flag(&self) -> Result<bool, RowFault> {
        match self.get(Role::Fifth) {
            text if text.eq_ignore_ascii_case(b"true") => Ok(true),
            text if text.eq_ignore_ascii_case(b"false") => Ok(false),
            _ => Err(self.fault(Role::Fifth, "is neither true nor false")),
        }
    }

    fn side(&self) -> Result<Option<Side>, RowFault> {
        match (self.columns.kind, self.get(Role::Side)) {
            (CsvKind::Book, b"bid") | (CsvKind::Trades | CsvKind::Liquidations, b"buy") => {
                Ok(Some(Side::Buy))
            }
            (CsvKind::Book, b"ask") | (CsvKind::Trades | CsvKind::Liquidations, b"sell") => {
                Ok(Some(Side::Sell))
            }
            (CsvKind::Trades, b"unknown") => Ok(None),
            (CsvKind::Liquidations, _) => Err(self.fault(Role::Side, "is neither buy nor sell")),
            (CsvKind::Book, _) => Err(self.fault(Role::Side, "is neither bid nor ask")),
            _ => Err(self.fault(Role::Side, "is none of buy, sell, unknown")),
        }
    }
}
