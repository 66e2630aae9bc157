//! What follows from an inventory: equations of references, what keeps objects in the end, differences.
#![allow(clippy::expect_used)]

use residue_fd::objects::{
    At, Attachment, Btf, Change, Equation, Hold, Holder, Inventory, Keeper, Keeping, LINK_TYPE_XDP, Link, Map,
    MapCounts, Method, ObjectId, Point, Program, Summary, Term, diff,
};

fn inventory() -> Inventory {
    Inventory::new(Method::Iterators)
}

fn map(inventory: &mut Inventory, id: u32, refs: u64, user_refs: u64) -> ObjectId {
    let counts = Some(MapCounts { refs, user_refs, writers: 0 });
    let name = format!("m{id}");
    inventory.maps.insert(id, Map { id, name, map_type: 2, memory: Some(100), counts, ..Map::default() });
    ObjectId::map(id)
}

fn program(inventory: &mut Inventory, id: u32, refs: u64) -> ObjectId {
    let memory = Some(4096);
    inventory.programs.insert(id, Program { id, memory, refs: Some(refs), ..Program::default() });
    ObjectId::program(id)
}

fn hold(inventory: &mut Inventory, object: ObjectId, by: Holder) {
    inventory.holds.push(Hold { object, by });
}

fn at(pid: u32, fd: u32) -> At {
    At { pid, tid: pid, fd }
}

fn descriptor(pid: u32, fd: u32, file: u64) -> Holder {
    Holder::Descriptor { at: at(pid, fd), file: Some(file) }
}

fn pin(path: &str, inode: u64) -> Holder {
    Holder::Pin { path: path.to_owned(), namespace_pid: None, inode: (27, inode) }
}

fn equation(inventory: &Inventory, object: ObjectId) -> Equation {
    let holders = inventory.holders();
    Equation::of(inventory, object, holders.get(&object).map_or(&[], Vec::as_slice))
}

#[test]
fn files_count_once_and_by_what_shows_them_best() {
    let mut all = inventory();
    let object = map(&mut all, 1, 6, 6);
    // dup, fork and a mapping of the same open file.
    hold(&mut all, object, Holder::Mapping { pid: 7, range: (0x1000, 0x2000), file: Some(0xa) });
    hold(&mut all, object, descriptor(7, 3, 0xa));
    hold(&mut all, object, descriptor(7, 4, 0xa));
    hold(&mut all, object, descriptor(8, 4, 0xa));
    // Only a mapping, twice; only in flight; in a ring.
    for start in [0x3000, 0x5000] {
        hold(&mut all, object, Holder::Mapping { pid: 7, range: (start, start + 0x1000), file: Some(0xb) });
    }
    hold(&mut all, object, Holder::InFlight { at: at(7, 9), file: Some(0xc) });
    hold(&mut all, object, Holder::Ring { at: at(7, 10), slot: 3, file: Some(0xd) });
    // One file of the file system with two names, and another.
    hold(&mut all, object, pin("/a", 5));
    hold(&mut all, object, pin("/b", 5));
    hold(&mut all, object, pin("/c", 6));
    let terms = [(Term::Files, 1), (Term::Mappings, 1), (Term::InFlight, 1), (Term::Rings, 1), (Term::Pins, 2)];
    let equation = equation(&all, object);
    assert_eq!((equation.refs, &*equation.terms, equation.holds()), (Some(6), &terms[..], true));
}

#[test]
fn user_space_and_the_kernel_are_compared_apart() {
    let mut all = inventory();
    let object = map(&mut all, 1, 3, 2);
    hold(&mut all, object, descriptor(7, 3, 0xa));
    hold(&mut all, object, Holder::Program(1));
    hold(&mut all, object, Holder::Map { id: 2, entries: 1 });
    let equation = equation(&all, object);
    // Three are counted and three were seen, but not the same three.
    assert_eq!((equation.unexplained_user, equation.unexplained_kernel), (1, -1));
    assert!(!equation.holds());
}

#[test]
fn without_counts_nothing_is_unexplained() {
    let mut all = inventory();
    let object = map(&mut all, 1, 0, 0);
    all.maps.get_mut(&1).expect("it is there").counts = None;
    hold(&mut all, object, Holder::Descriptor { at: at(7, 3), file: None });
    hold(&mut all, object, Holder::Descriptor { at: at(7, 4), file: None });
    let equation = equation(&all, object);
    assert_eq!((equation.refs, equation.term(Term::Files), equation.holds()), (None, 2, true));
}

#[test]
fn what_a_link_holds_depends_on_its_type() {
    let mut all = inventory();
    let object = map(&mut all, 1, 3, 2);
    // An iterator over the map, a sockmap's link, a struct_ops link.
    for (id, link_type) in [(1, 4), (2, 14), (3, 9)] {
        all.links.insert(id, Link { id, link_type, map: 1, ..Link::default() });
        hold(&mut all, object, Holder::Link(id));
    }
    let equation = equation(&all, object);
    assert_eq!((equation.term(Term::Links), equation.holds()), (3, true));
}

#[test]
fn the_program_of_an_event_that_a_link_owns_is_held_once() {
    let mut all = inventory();
    let object = program(&mut all, 9, 2);
    all.links.insert(1, Link { id: 1, link_type: 7, program: 9, perf_file: Some(0xe), ..Link::default() });
    hold(&mut all, object, Holder::Link(1));
    hold(&mut all, object, Holder::PerfEvent { at: at(7, 5), file: Some(0xe) });
    // The same event in another process, and one without a link.
    hold(&mut all, object, Holder::PerfEvent { at: at(8, 5), file: Some(0xe) });
    hold(&mut all, object, Holder::PerfEvent { at: at(8, 6), file: Some(0xf) });
    let equation = equation(&all, object);
    assert_eq!(equation.terms, [(Term::Links, 1), (Term::PerfEvents, 1)]);
    assert!(equation.holds());
}

#[test]
fn keepers_are_followed_to_their_ends() {
    let mut all = inventory();
    let used = map(&mut all, 1, 1, 0);
    let inner = map(&mut all, 2, 1, 0);
    let outer = map(&mut all, 3, 1, 0);
    let lonely = map(&mut all, 4, 1, 1);
    let attached = map(&mut all, 5, 1, 0);
    let (run, pinned, legacy) = (program(&mut all, 1, 1), program(&mut all, 2, 1), program(&mut all, 3, 1));
    all.links.insert(8, Link { id: 8, program: 1, ..Link::default() });
    // A process has a link, that its program, that a map.
    hold(&mut all, ObjectId::link(8), descriptor(7, 3, 0xa));
    hold(&mut all, run, Holder::Link(8));
    hold(&mut all, used, Holder::Program(1));
    // A pin has a program, that an outer map, that an inner one; and also the map that a process keeps.
    hold(&mut all, pinned, pin("/p", 1));
    hold(&mut all, outer, Holder::Program(2));
    hold(&mut all, inner, Holder::Map { id: 3, entries: 2 });
    hold(&mut all, used, Holder::Program(2));
    // Attached without a link.
    all.attachments.push(Attachment { program: 3, how: "xdp", point: Point::default() });
    hold(&mut all, legacy, Holder::Attachment(0));
    hold(&mut all, attached, Holder::Program(3));

    let keeping = Keeping::of(&all);
    for (object, keeper) in [
        (used, Keeper::Process),
        (run, Keeper::Process),
        (pinned, Keeper::Pin),
        (inner, Keeper::Pin),
        (attached, Keeper::Attachment),
        (lonely, Keeper::Unseen),
    ] {
        assert_eq!(keeping.keeper(object), keeper, "{object}");
    }
    let orphans = keeping.orphans(&all);
    let roots: Vec<_> = orphans.iter().map(|root| (root.object, root.keeper, &*root.below, root.memory)).collect();
    assert_eq!(roots, [(pinned, Keeper::Pin, &[inner, outer][..], 4096 + 200), (lonely, Keeper::Unseen, &[][..], 100)]);
    assert_eq!(orphans[0].pins, ["/p"]);
}

#[test]
fn a_circle_that_nothing_keeps_is_told_once() {
    let mut all = inventory();
    let (tails, tail) = (map(&mut all, 1, 1, 0), program(&mut all, 2, 1));
    hold(&mut all, tails, Holder::Program(2));
    hold(&mut all, tail, Holder::Map { id: 1, entries: 1 });
    all.btfs.insert(1, Btf { id: 1, kernel: true, ..Btf::default() });
    let orphans = Keeping::of(&all).orphans(&all);
    assert_eq!(orphans.len(), 1, "{orphans:?}");
    assert_eq!((orphans[0].object, &*orphans[0].below), (tails, &[tail][..]));
}

#[test]
fn differences_are_told() {
    let mut before = inventory();
    let stays = map(&mut before, 1, 1, 1);
    map(&mut before, 2, 1, 1);
    map(&mut before, 3, 1, 1);
    let mut after = before.clone();
    after.maps.remove(&2);
    // The id has come round: another map.
    after.maps.get_mut(&3).expect("it is there").name = "other".to_owned();
    map(&mut after, 4, 1, 1);
    hold(&mut after, stays, descriptor(7, 3, 0xa));
    let changes = diff(&Summary::of(&before), &Summary::of(&after));
    let told: Vec<_> =
        changes.iter().map(|changed| (changed.object.id, &*changed.summary.name, &changed.change)).collect();
    let was = Summary::of(&before)[&stays].clone();
    assert_eq!(
        told,
        [
            (1, "m1", &Change::Grown(was)),
            (2, "m2", &Change::Removed),
            (3, "m3", &Change::Removed),
            (3, "other", &Change::Added),
            (4, "m4", &Change::Added)
        ]
    );
    assert!(diff(&Summary::of(&before), &Summary::of(&before)).is_empty());
}

/// Attaches a program to a device by netlink.
fn attach(inventory: &mut Inventory, object: ObjectId, how: &'static str, mode: &'static str) {
    let mut point = Point::default();
    point.add("mode", mode);
    inventory.attachments.push(Attachment { program: object.id, how, point });
    hold(inventory, object, Holder::Attachment(inventory.attachments.len() - 1));
}

#[test]
fn a_device_has_its_program_beside_what_attaches_it() {
    let mut all = inventory();
    // Two devices, one table for all; and a link to a third one.
    let object = program(&mut all, 1, 7);
    attach(&mut all, object, "xdp", "driver");
    attach(&mut all, object, "xdp", "generic");
    all.links.insert(5, Link { id: 5, link_type: LINK_TYPE_XDP, program: 1, ..Link::default() });
    hold(&mut all, object, Holder::Link(5));
    let sum = equation(&all, object);
    assert_eq!(
        sum.terms,
        [(Term::Links, 1), (Term::Attachments, 2), (Term::Devices, 3), (Term::Dispatcher, 1)],
        "{sum:?}"
    );
    assert!(sum.holds());
    // The table takes so many; what isn't counted is not invented.
    all.programs.get_mut(&1).expect("it is there").refs = Some(6);
    let sum = equation(&all, object);
    assert!(sum.holds() && sum.term(Term::Dispatcher) == 0, "{sum:?}");
    // A device that is gone has given it back.
    all.links.get_mut(&5).expect("it is there").point.gone = true;
    assert_eq!(equation(&all, object).term(Term::Devices), 2);

    // What the device runs itself is not called by the kernel; filters of tc have but theirs.
    let offloaded = program(&mut all, 2, 3);
    attach(&mut all, offloaded, "xdp", "offload");
    assert_eq!(equation(&all, offloaded).unexplained_kernel, 1);
    let filter = program(&mut all, 3, 1);
    attach(&mut all, filter, "tc", "");
    assert!(equation(&all, filter).holds());
}

#[test]
fn what_is_registered_without_a_link_is_kept_by_the_kernel() {
    let mut all = inventory();
    let object = map(&mut all, 1, 1, 0);
    let function = program(&mut all, 2, 1);
    hold(&mut all, object, Holder::Registration);
    hold(&mut all, function, Holder::Map { id: 1, entries: 1 });
    assert_eq!(equation(&all, object).terms, [(Term::Registrations, 1)]);
    let keeping = Keeping::of(&all);
    assert_eq!((keeping.keeper(object), keeping.keeper(function)), (Keeper::Attachment, Keeper::Attachment));
    assert_eq!(keeping.orphans(&all), []);
}
