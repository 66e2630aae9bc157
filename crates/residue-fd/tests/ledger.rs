//! The books against an oracle that sees every open and close: random lives of descriptors, told as a recorder tells them.
#![allow(clippy::expect_used, reason = "a test that cannot set up fails")]

use std::collections::BTreeMap;

use residue_fd::event::{Count, End, Event, Frame, Live, Pair, PairKind, Role, Site, Start};
use residue_fd::{Class, Leak, Ledger, Policy, Report, WINDOWS, callee, caller, rules};

const SECOND: u64 = 1_000_000_000;

fn frame(function: &str, package: &str, std: bool) -> Frame {
    let (function, package) = (function.to_owned(), package.to_owned());
    Frame { function, package, file: "/src/x.go".to_owned(), line: 7, inlined: false, std, own: !std }
}

/// A site of package `p` that opens files by the bare system call, or closes them.
fn site(id: u32, role: Role, functions: &[(&str, &str)]) -> Event {
    let frames = functions.iter().map(|(function, package)| frame(function, package, *package != "p"));
    Event::Site(Site {
        id,
        role,
        pid: 1,
        program: "x".to_owned(),
        call: "openat".to_owned(),
        command: String::new(),
        kind: "file".to_owned(),
        example: String::new(),
        frames: frames.collect(),
        cut: false,
        resumes: None,
        tool: false,
    })
}

fn raw(id: u32) -> Event {
    let function = format!("p.open{id}");
    site(id, Role::Opens, &[("syscall.Open", "syscall"), (&function, "p")])
}

fn count(site: u32, opened: u64, closed: u64, ended: u64) -> Event {
    Event::Count(Count { site, opened, closed, ended, last_ns: 0 })
}

fn ledger(policy: Policy) -> Ledger {
    let mut ledger = Ledger::new(policy);
    ledger.apply(Event::Start(Start { version: 1, pids: vec![1], by: "test".to_owned(), ..Start::default() }));
    ledger
}

fn end(mut ledger: Ledger, at_ns: u64, exited: bool) -> Report {
    ledger.apply(Event::End(End { at_ns, exited }));
    ledger.report()
}

/// Live counts of one opener, second by second; its leak when the last look is over.
fn grown(lives: &[u64], policy: Policy) -> Option<Leak> {
    let mut ledger = ledger(policy);
    ledger.apply(raw(1));
    let mut opened = 0;
    let mut closed = 0;
    for (at, live) in (1..).zip(lives) {
        // Somebody opens and closes all the time.
        opened += 5;
        closed += 5;
        let now = opened - closed;
        opened += live.saturating_sub(now);
        closed += now.saturating_sub(*live);
        ledger.apply(count(1, opened, closed, 0));
        ledger.apply(Event::Tick { at_ns: at * SECOND });
    }
    end(ledger, lives.len() as u64 * SECOND, false).openers[0].leak
}

/// Windows of two seconds after a warm-up of two.
const SHORT: Policy = Policy { window_ns: 2 * SECOND, warmup_ns: 2 * SECOND, min_live: 2 };

#[test]
fn what_grows_in_three_windows_is_a_leak_and_nothing_less() {
    // Seconds:              1  2 (warm) 3  4  5  6  7  8
    assert_eq!(grown(&[1, 1, 2, 3, 4, 5, 6, 7, 8, 9], SHORT), Some(Leak::Growing(6)));
    assert_eq!(grown(&[1, 1, 2, 3, 4, 5], SHORT), None, "two windows");
    assert_eq!(grown(&[9, 9, 9, 9, 9, 9, 9, 9, 9, 9], SHORT), None, "it stands");
    assert_eq!(grown(&[1, 5, 9, 5, 9, 5, 9, 5, 9, 5], SHORT), None, "it comes and goes");
    assert_eq!(grown(&[1, 1, 2, 3, 4, 5, 6, 7, 8, 1], SHORT), None, "a collection came");
    assert_eq!(grown(&[1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7], SHORT), None, "it grew, and doesn't any more");
}

#[test]
fn what_grew_until_the_end_of_the_command_is_a_leak() {
    let ended = |last: Event| {
        let mut ledger = ledger(SHORT);
        ledger.apply(raw(1));
        for second in 1..=9 {
            ledger.apply(count(1, second + 1, 1, 0));
            ledger.apply(Event::Tick { at_ns: second * SECOND });
        }
        ledger.apply(last);
        // The look that sees it ended is the first of a window.
        ledger.apply(Event::Tick { at_ns: 10 * SECOND });
        end(ledger, 20 * SECOND, true)
    };
    let open = ended(count(1, 10, 1, 9));
    assert_eq!(open.openers[0].leak, Some(Leak::Growing(6)), "it had them open when it ended");
    let message = &rules::findings(&open)[0].message;
    assert!(message.starts_with("9 ") && message.contains("were open at the end, 6 more"), "{message}");
    assert_eq!(ended(count(1, 10, 10, 0)).openers[0].leak, None, "it closed them before it ended");
}

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % bound.max(1)
    }
}

/// What happened to one opener.
#[derive(Default)]
struct Truth {
    opened: u64,
    closed: u64,
    ended: u64,
    /// Live ones at each look, with those that were until a process ended.
    lives: Vec<u64>,
}

impl Truth {
    fn live(&self) -> u64 {
        self.opened - self.closed - self.ended
    }

    /// The definition, from all looks at once. The first look is after a second, one a second; windows as in [`SHORT`], so
    /// the look at second `2w + 4` belongs to window `w` as its end, and is the first of window `w + 1`.
    fn leak(&self, exited: bool) -> Option<Leak> {
        if self.opened <= 1 {
            return None;
        }
        let at = |second: usize| self.lives[second - 1];
        let windows = (self.lives.len().saturating_sub(2)) / 2;
        if windows >= WINDOWS && self.lives.last() > Some(&0) {
            let low = |window: usize| (2 * window + 2..=2 * window + 4).map(at).min().expect("three looks");
            let mut lows = vec![at(2)];
            lows.extend((0..windows).map(low));
            let last = &lows[lows.len() - WINDOWS - 1..];
            if last.windows(2).all(|pair| pair[0] < pair[1]) {
                return Some(Leak::Growing(last[WINDOWS] - last[0]));
            }
        }
        let left = self.live() + self.ended;
        (exited && self.closed == 0 && left >= 2).then_some(Leak::NeverClosed(left))
    }
}

#[test]
fn random_lives_are_judged_as_the_definition_says() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut growing, mut never) = (0, 0);
    for _ in 0..400 {
        let mut truths: BTreeMap<u32, Truth> = BTreeMap::new();
        let habits: Vec<(u64, u64)> = (0..6).map(|_| (random.below(4), random.below(4))).collect();
        let mut ledger = ledger(SHORT);
        let seconds = 4 + random.below(12);
        for second in 1..=seconds {
            for (id, (opens, closes)) in (1..).zip(&habits) {
                if !truths.contains_key(&id) {
                    ledger.apply(raw(id));
                }
                let truth = truths.entry(id).or_default();
                truth.opened += random.below(*opens + 1);
                truth.closed += random.below(*closes + 1).min(truth.live());
                // A process ends now and then, with what it has.
                let ended = if random.below(40) == 0 { random.below(truth.live() + 1) } else { 0 };
                truth.ended += ended;
                truth.lives.push(truth.live() + ended);
                ledger.apply(count(id, truth.opened, truth.closed, truth.ended));
            }
            ledger.apply(Event::Tick { at_ns: second * SECOND });
        }
        let exited = random.below(2) == 0;
        let report = end(ledger, seconds * SECOND, exited);
        assert_eq!(report.opens, truths.values().map(|truth| truth.opened).sum::<u64>());
        assert_eq!(report.openers.len(), truths.values().filter(|truth| truth.opened > 0).count());
        for opener in &report.openers {
            let truth = &truths[&opener.site.id];
            assert_eq!(
                (opener.opened, opener.closed, opener.left()),
                (truth.opened, truth.closed, truth.live() + truth.ended)
            );
            let leak = truth.leak(exited);
            assert_eq!(opener.leak, leak, "{:?} exited {exited}", truth.lives);
            growing += u32::from(matches!(leak, Some(Leak::Growing(_))));
            never += u32::from(matches!(leak, Some(Leak::NeverClosed(_))));
        }
    }
    assert!(growing > 50 && never > 20, "both kinds were there: {growing} {never}");
}

/// Two are open at the exit, opened with such frames from the leaf, and closes of a third were made by such a stack.
fn class_of(frames: &[(&str, &str)], closer: Option<&[(&str, &str)]>) -> (Class, Option<Leak>) {
    let mut ledger = ledger(Policy::default());
    ledger.apply(site(1, Role::Opens, frames));
    let closed = u64::from(closer.is_some());
    ledger.apply(count(1, 2 + closed, closed, 0));
    if let Some(closer) = closer {
        ledger.apply(site(2, Role::Closes, closer));
        let pair = Pair { kind: PairKind::Closed, opener: 1, closer: 2, count: 1, goid: 3, pid: 1, fd: 9 };
        ledger.apply(Event::Pair(pair));
    }
    let report = end(ledger, SECOND, true);
    (report.openers[0].class, report.openers[0].leak)
}

#[test]
fn classes_follow_from_openers_and_closers() {
    let never = Some(Leak::NeverClosed(2));
    assert_eq!(class_of(&[("syscall.Open", "syscall"), ("p.f", "p")], None), (Class::Permanent, never));
    assert_eq!(
        class_of(&[("syscall.Open", "syscall"), ("os.OpenFile", "os"), ("p.f", "p")], None),
        (Class::Unknown, never)
    );
    let collector = [("os.(*file).close", "os"), ("runtime.runFinalizers", "runtime")];
    let opener = [("os.OpenFile", "os"), ("p.f", "p")];
    assert_eq!(class_of(&opener, Some(&collector)), (Class::Deferred, None), "it closed one");
    let netpoll = [
        ("internal/runtime/syscall.EpollCreate1", "internal/runtime/syscall"),
        ("runtime.netpollinit", "runtime"),
        ("p.f", "p"),
    ];
    assert_eq!(class_of(&netpoll, None), (Class::Kept, None));
    let for_child = [("syscall.RawSyscall", "syscall"), ("syscall.forkAndExecInChild1", "syscall"), ("p.f", "p")];
    assert_eq!(class_of(&for_child, None), (Class::Kept, None));
    // C code: there is nobody to name, and it may well close them.
    assert_eq!(class_of(&[("0x401000", "")], None), (Class::Unknown, None));
}

#[test]
fn the_programs_own_call_answers_for_a_stack() {
    let at = |frames: &[(&str, &str, bool)]| {
        let frames: Vec<Frame> = frames
            .iter()
            .map(|(function, package, own)| Frame {
                own: *own,
                ..frame(function, package, !package.contains("example.com"))
            })
            .collect();
        let at = caller(&frames).expect("there are frames");
        (frames[at].function.clone(), callee(&frames, at).map(|callee| callee.short().to_owned()))
    };
    let library = [
        ("syscall.Syscall", "syscall", false),
        ("example.com/lib/internal/unix.Syscall", "example.com/lib/internal/unix", false),
        ("example.com/lib/bpf.NewMap", "example.com/lib/bpf", false),
        ("example.com/app/store.(*Store).open", "example.com/app/store", true),
        ("main.main", "example.com/app", true),
    ];
    assert_eq!(at(&library), ("example.com/app/store.(*Store).open".to_owned(), Some("bpf.NewMap".to_owned())));
    // On a goroutine that the library started.
    assert_eq!(at(&library[..3]), ("example.com/lib/bpf.NewMap".to_owned(), None));
    let dialled = [
        ("syscall.Socket", "syscall", false),
        ("internal/poll.Dup", "internal/poll", false),
        ("net.sysSocket", "net", false),
        ("net/http.(*Transport).dial", "net/http", false),
        ("net/http.(*Transport).dialConnFor", "net/http", false),
    ];
    assert_eq!(at(&dialled), ("net/http.(*Transport).dial".to_owned(), None));
    assert_eq!(at(&dialled[..1]), ("syscall.Socket".to_owned(), None));
}

#[test]
fn sites_that_read_the_same_are_one_opener() {
    let mut ledger = ledger(Policy::default());
    for id in [1, 2] {
        ledger.apply(site(id, Role::Opens, &[("syscall.Open", "syscall"), ("p.f", "p")]));
        ledger.apply(count(id, 1, 0, 1));
    }
    let one_each = end(ledger.clone(), SECOND, true);
    assert_eq!(one_each.openers.len(), 1);
    assert_eq!((one_each.openers[0].class, one_each.openers[0].leak), (Class::Kept, None), "one in each process");
    ledger.apply(count(1, 3, 0, 3));
    let report = end(ledger, SECOND, true);
    assert_eq!(report.openers[0].leak, Some(Leak::NeverClosed(4)));
    // Addresses differ from process to process; the call of a program that isn't Go is one opener.
    let mut ledger = self::ledger(Policy::default());
    for (id, address) in [(1, "0x401000"), (2, "0x7f0000401000")] {
        ledger.apply(site(id, Role::Opens, &[(address, "")]));
        ledger.apply(count(id, 2, 0, 0));
    }
    let report = end(ledger, SECOND, true);
    assert_eq!((report.openers.len(), report.openers[0].live), (1, 4));
}

fn pair(kind: PairKind, opener: u32, closer: u32) -> Event {
    Event::Pair(Pair { kind, opener, closer, count: u64::MAX, goid: 0, pid: 1, fd: 3 })
}

/// A recording is a file, and a file says anything.
#[test]
fn counts_that_cannot_be_are_added_up_all_the_same() {
    let mut ledger = ledger(Policy::default());
    for id in 1..=3 {
        // Told twice, it counts once.
        ledger.apply(raw(1));
        ledger.apply(raw(id));
        ledger.apply(count(id, u64::MAX, 0, u64::MAX));
        ledger.apply(pair(PairKind::Closed, id, 9));
        ledger.apply(pair(PairKind::Unwound, id, 9));
    }
    ledger.apply(count(2, 7, 0, 0));
    ledger.apply(Event::Losses(residue_fd::event::Losses { unknown_ended: u64::MAX, ..Default::default() }));
    ledger.apply(Event::Tick { at_ns: u64::MAX });
    let report = end(ledger, 5, true);
    assert_eq!(report.openers.len(), 3);
    let second = report.openers.iter().find(|opener| opener.site.id == 2).expect("the second opener");
    assert_eq!((second.opened, second.left()), (7, 7));
    assert!(report.opens > 1 << 40 && report.losses.unknown_ended + report.opens > report.opens);
}

/// Where what is asked of one opener were looked for among what is known of all, this would take minutes.
#[test]
fn many_openers_with_many_descriptors_are_reported() {
    const OPENERS: u32 = 16_000;
    let mut ledger = ledger(Policy::default());
    for id in 1..=OPENERS {
        ledger.apply(raw(id));
        ledger.apply(count(id, 8, 0, 0));
        ledger.apply(pair(PairKind::Closed, id, 0));
    }
    for fd in 0..OPENERS * 8 {
        let (site, link) = (fd % OPENERS + 1, String::new());
        ledger.apply(Event::Live(Live {
            pid: 1,
            fd,
            site,
            opened_ns: 1,
            goid: 0,
            inherited: false,
            labels: BTreeMap::new(),
            link,
        }));
    }
    let report = end(ledger, 5, true);
    assert!(report.openers.iter().all(|opener| opener.examples.len() == 8 && opener.pids.len() == 1));
}
