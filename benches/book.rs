//! The order book beside a book of two `BTreeMap`s: nanoseconds an update, and bytes.
//!
//! Both books take the same updates in the same run, by turns, best of five; both best prices are read after each
//! message. Both must have read the same best prices and end with the same levels, else the exit code is 1.
//!
//! `PAPERTAPE_BENCH_DATA` names a folder with a Tardis `*_incremental_book_L2_*.csv` (prices of one decimal, whole
//! amounts); without it the data are made here. Under `cargo test` or with `--test` sizes are small and the ratios mean
//! nothing.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use papertape::market::decimal::{Plain, parse_units};
use papertape::market::{OrderBook, Price, Qty, Side};

/// One row: a level's new size; `last` of its message.
#[derive(Clone, Copy)]
struct Row {
    price: i64,
    qty: i64,
    side: Side,
    last: bool,
}

/// A scene: the book before (not timed) and the updates (timed).
struct Case {
    name: &'static str,
    tick: i64,
    opening: Vec<Row>,
    rows: Vec<Row>,
    /// The best prices at the end, where they are known.
    expected: Option<(i64, i64)>,
}

/// What is replayed: ours or the floor.
trait Book: Clone {
    fn empty(tick: i64) -> Self;
    fn set(&mut self, row: Row);
    fn best_prices(&self) -> (Option<i64>, Option<i64>);
    fn both_sides(&self) -> [Vec<(i64, i64)>; 2];
}

impl Book for OrderBook {
    fn empty(tick: i64) -> Self {
        Self::new(Price::from_units(tick))
    }

    fn set(&mut self, row: Row) {
        Self::set(self, row.side, Price::from_units(row.price), Qty::from_units(row.qty));
    }

    fn best_prices(&self) -> (Option<i64>, Option<i64>) {
        (self.best_price(Side::Buy).map(Price::units), self.best_price(Side::Sell).map(Price::units))
    }

    fn both_sides(&self) -> [Vec<(i64, i64)>; 2] {
        Side::BOTH.map(|side| Self::levels(self, side).map(|l| (l.price.units(), l.qty.units())).collect())
    }
}

/// The floor: what one would write first.
#[derive(Clone)]
struct TreeBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Book for TreeBook {
    fn empty(_: i64) -> Self {
        Self { bids: BTreeMap::new(), asks: BTreeMap::new() }
    }

    fn set(&mut self, row: Row) {
        let side = match row.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if row.qty == 0 {
            side.remove(&row.price);
        } else {
            side.insert(row.price, row.qty);
        }
    }

    fn best_prices(&self) -> (Option<i64>, Option<i64>) {
        (self.bids.keys().next_back().copied(), self.asks.keys().next().copied())
    }

    fn both_sides(&self) -> [Vec<(i64, i64)>; 2] {
        let copy = |(price, qty): (&i64, &i64)| (*price, *qty);
        [self.bids.iter().rev().map(copy).collect(), self.asks.iter().map(copy).collect()]
    }
}

/// Replays the rows and returns the time, a sum of all best prices seen, and the book at the end.
#[allow(clippy::disallowed_methods, reason = "a bench looks at the clock")]
fn replay<B: Book>(case: &Case, opening: &B) -> (Duration, i64, B) {
    let mut book = opening.clone();
    let mut seen = 0_i64;
    let start = Instant::now();
    for row in &case.rows {
        book.set(*row);
        if row.last {
            let (bid, ask) = book.best_prices();
            seen = seen.wrapping_mul(31).wrapping_add(bid.unwrap_or(-1)).wrapping_add(ask.unwrap_or(-1) << 1);
        }
    }
    (start.elapsed(), black_box(seen), book)
}

fn opened<B: Book>(case: &Case) -> B {
    let mut book = B::empty(case.tick);
    case.opening.iter().for_each(|row| book.set(*row));
    book
}

/// Runs both by turns and prints the best times; false where they disagree.
fn run(case: &Case, turns: usize) -> bool {
    let (ours, floor) = (opened::<OrderBook>(case), opened::<TreeBook>(case));
    let mut best = [Duration::MAX; 2];
    let mut same = true;
    let mut end = (None, None);
    for _ in 0..turns {
        let (our_time, our_sum, our_end) = replay(case, &ours);
        let (floor_time, floor_sum, floor_end) = replay(case, &floor);
        best = [best[0].min(our_time), best[1].min(floor_time)];
        same &= our_sum == floor_sum && our_end.both_sides() == floor_end.both_sides();
        end = our_end.best_prices();
    }
    let ns = best.map(|time| time.as_secs_f64() * 1e9 / case.rows.len() as f64);
    let wrong = case.expected.is_some_and(|(bid, ask)| end != (Some(bid), Some(ask)));
    let show = |price: Option<i64>| price.map_or("-".to_owned(), |price| Plain::new(price, 1).to_string());
    let verdict = match (same, wrong) {
        (false, _) => "BOOKS DIFFER".to_owned(),
        (true, true) => "WRONG END".to_owned(),
        (true, false) => format!("ends {} / {}", show(end.0), show(end.1)),
    };
    println!(
        "{:<28} {:>9} rows  ours {:>6.1} ns  btree {:>6.1} ns  {:>5.2}x  {verdict}",
        case.name,
        case.rows.len(),
        ns[0],
        ns[1],
        ns[1] / ns[0]
    );
    same && !wrong
}

/// Marsaglia's xorshift64*: seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, n: u64) -> i64 {
        (self.next() % n) as i64
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// Small mostly, large at times: halves until a coin falls wrong.
    fn geometric(&mut self, scale: u64) -> i64 {
        let mut value = self.below(scale);
        while self.chance(40) {
            value += self.below(scale);
        }
        value
    }
}

/// A market in the spirit of the generator's: messages of one to eight changes, most near the touch, some anywhere in
/// the first 400 levels, now and then a taker; the spread is mostly a tick and the price drifts.
fn synthetic(rows: usize) -> Case {
    let mut random = Random(7);
    let mut mid = 168_000_i64;
    let mut book = opened_side_maps(mid, &mut random);
    let opening = Side::BOTH.into_iter().flat_map(|side| {
        let levels = book[side.index()].clone();
        levels.into_iter().map(move |(price, qty)| Row { price: price * 5, qty, side, last: true })
    });
    let mut case = Case {
        name: "synthetic",
        tick: 5,
        opening: opening.collect(),
        rows: Vec::with_capacity(rows),
        expected: None,
    };
    while case.rows.len() < rows {
        let changes = 1 + random.geometric(2).min(7);
        for change in 1..=changes {
            if random.chance(2) {
                mid += random.below(3) - 1;
            }
            let side = if random.chance(50) { Side::Buy } else { Side::Sell };
            let away = if random.chance(80) { random.geometric(7) } else { random.below(400) };
            // A price on the wrong side of the middle is taken out; the rest is set or, at times, cancelled.
            let crossed = match side {
                Side::Buy => book[0].last_key_value().filter(|(price, _)| **price >= mid),
                Side::Sell => book[1].first_key_value().filter(|(price, _)| **price <= mid),
            };
            let (price, qty) = match crossed {
                Some((price, _)) => (*price, 0),
                None => {
                    let price = side.worsen(Price::from_units(mid), away + 1).units();
                    let there = book[side.index()].contains_key(&price);
                    let gone = there && random.chance(if away == 0 { 14 } else { 30 });
                    (price, if gone { 0 } else { 100 * (1 + random.geometric(20)) })
                }
            };
            if qty == 0 {
                book[side.index()].remove(&price);
            } else {
                book[side.index()].insert(price, qty);
            }
            case.rows.push(Row { price: price * 5, qty, side, last: change == changes });
        }
    }
    case
}

fn opened_side_maps(mid: i64, random: &mut Random) -> [BTreeMap<i64, i64>; 2] {
    Side::BOTH.map(|side| {
        let prices = (1..=400).map(|away| side.worsen(Price::from_units(mid), away).units());
        prices.map(|price| (price, 100 * (1 + random.geometric(20)))).collect()
    })
}

/// Levels on both sides of a middle price, spread evenly over `ticks`, and updates that do not know the touch: half
/// change a level, a quarter take one away, a quarter bring one. Where `drain`, levels only go.
fn sparse(name: &'static str, levels: usize, ticks: u64, rows: usize, drain: bool) -> Case {
    let mut random = Random(11);
    let middle = 1_000_000_i64;
    let mut sides: [Vec<i64>; 2] = [Vec::new(), Vec::new()];
    let mut taken = std::collections::HashSet::new();
    let mut opening = Vec::new();
    let fresh = |random: &mut Random, taken: &mut std::collections::HashSet<(Side, i64)>, side: Side| loop {
        let price = side.worsen(Price::from_units(middle), 1 + random.below(ticks)).units();
        if taken.insert((side, price)) {
            return price;
        }
    };
    for side in Side::BOTH {
        for _ in 0..levels {
            let price = fresh(&mut random, &mut taken, side);
            sides[side.index()].push(price);
            opening.push(Row { price, qty: 1 + random.below(1000), side, last: true });
        }
    }
    let mut updates = Vec::with_capacity(rows);
    let rows = if drain { rows.min(2 * levels) } else { rows };
    while updates.len() < rows {
        let side = if random.chance(50) { Side::Buy } else { Side::Sell };
        let standing = &mut sides[side.index()];
        // Twice the levels are enough; else a long walk would fill every tick.
        let kind = if standing.len() < 2 * levels { random.below(4) } else { 0 };
        let at = random.below(standing.len().max(1) as u64) as usize;
        let (price, qty) = match (standing.is_empty(), drain, kind) {
            (true, true, _) => continue,
            (false, true, _) | (false, false, 0) => {
                let price = standing.swap_remove(at);
                taken.remove(&(side, price));
                (price, 0)
            }
            (false, false, 2..) => (standing[at], 1 + random.below(1000)),
            (_, false, _) => {
                let price = fresh(&mut random, &mut taken, side);
                standing.push(price);
                (price, 1 + random.below(1000))
            }
        };
        updates.push(Row { price, qty, side, last: random.chance(50) });
    }
    Case { name, tick: 1, opening, rows: updates, expected: None }
}

/// The rows of a Tardis `incremental_book_L2` file, or what is wrong with it.
fn read(folder: &Path) -> Result<Case, String> {
    let files = std::fs::read_dir(folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
    let wanted = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.contains("_incremental_book_L2_") && name.ends_with(".csv")
    };
    let file = files.flatten().map(|entry| entry.path()).find(|path| wanted(path));
    let file = file.ok_or_else(|| format!("{}: no *_incremental_book_L2_*.csv", folder.display()))?;
    let text = std::fs::read_to_string(&file).map_err(|fault| format!("{}: {fault}", file.display()))?;
    let mut rows: Vec<Row> = Vec::new();
    let mut message = "";
    for (number, line) in text.lines().enumerate().skip(1) {
        let fault = || format!("{}:{}: {line:?}", file.display(), number + 1);
        let mut fields = line.splitn(6, ',').skip(2);
        let (Some(_), Some(received), Some(_), Some(tail)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(fault());
        };
        let mut tail = tail.split(',');
        let side = if tail.next() == Some("bid") { Side::Buy } else { Side::Sell };
        let mut number = |scale| parse_units(tail.next().unwrap_or_default().as_bytes(), scale);
        let (price, qty) = (number(1).map_err(|_| fault())?, number(0).map_err(|_| fault())?);
        if let Some(row) = rows.last_mut().filter(|_| message != received) {
            row.last = true;
        }
        message = received;
        rows.push(Row { price, qty, side, last: false });
    }
    if let Some(row) = rows.last_mut() {
        row.last = true;
    }
    // The generator's 2,000,000 rows of seed 7 are known by their number.
    let expected = (rows.len() == 2_000_001).then_some((845_430, 845_435));
    Ok(Case { name: "file", tick: 5, opening: Vec::new(), rows, expected })
}

/// Bytes of a book of `levels` a side, `gap` ticks apart.
fn memory(name: &str, levels: i64, gap: i64) -> bool {
    let mut book = OrderBook::new(Price::from_units(5));
    for away in 1..=levels {
        for side in Side::BOTH {
            book.set(side, side.worsen(Price::from_units(1 << 40), away * gap * 5), Qty::from_units(away));
        }
    }
    let bytes = book.heap_bytes();
    println!(
        "{name:<28} {levels:>9} levels a side  {:>8.1} KB  {:>6.1} bytes a level",
        bytes as f64 / 1024.0,
        bytes as f64 / (2 * levels) as f64
    );
    bytes <= 1 << 20
}

fn main() -> ExitCode {
    // `cargo bench` says `--bench`, `cargo test` says nothing.
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let small = asked("--test") || !asked("--bench");
    let (rows, levels, turns) = if small { (20_000, 1_000, 1) } else { (2_000_000, 20_000, 5) };
    let tape = match std::env::var_os("PAPERTAPE_BENCH_DATA") {
        Some(folder) if !small => read(Path::new(&folder)),
        _ => Ok(synthetic(rows)),
    };
    let tape = match tape {
        Ok(tape) => tape,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::FAILURE;
        }
    };
    let ticks = 10 * levels as u64;
    let good = [
        run(&tape, turns),
        run(&sparse("sparse", levels, ticks, rows, false), turns),
        run(&sparse("sparse, draining", levels, ticks, rows, true), turns),
        run(&sparse("few levels, wide gaps", 50, 100_000, rows, false), turns),
        memory("memory, dense", 10_000, 1),
        memory("memory, sparse", 10_000, 40),
        memory("memory, small", 50, 1),
        memory("memory, very small", 3, 1),
    ];
    if good.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
