//! eBPF objects and what keeps them, on this kernel: a program keeps them in every way there is, and the equation of each
//! has to come out even. Needs root and a kernel with eBPF; where that isn't given, each test says so and fails, unless
//! `RESIDUE_TEST_WITHOUT_BPF` is set to say that it is known.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use residue_testkit::go::{Running, releases};
use residue_testkit::schema;
use serde_json::Value;

/// One test at a time: each looks at all objects of the machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says it past the harness, which holds back what passing tests print.
fn not_tested(what: &str) {
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {what}");
}

/// Whether this machine can be asked; if not, that is said.
fn without_bpf() -> bool {
    if std::env::var_os("RESIDUE_TEST_WITHOUT_BPF").is_some() {
        not_tested("eBPF objects, as RESIDUE_TEST_WITHOUT_BPF asks for");
        return true;
    }
    false
}

fn bpf(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_residue")).arg("bpf").args(args).output().expect("residue runs")
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is written as JSON, which fits its schema.
fn json(args: &[&str]) -> Value {
    let output = bpf(&[args, &["--format", "json"]].concat());
    let document = serde_json::from_str(&out(&output)).expect("JSON");
    let schema = include_str!("../../../docs/schema/bpf.schema.json");
    let mistakes = schema::mistakes(&serde_json::from_str(schema).expect("the schema is JSON"), &document);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    document
}

/// An object that the program made: its kind, id, and what the program says of it.
struct Made {
    kind: String,
    id: u64,
    facts: BTreeMap<String, String>,
}

impl Made {
    fn fact(&self, key: &str) -> &str {
        self.facts.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str) -> u64 {
        self.fact(key).parse().expect("a number")
    }

    /// The object in a document.
    fn find<'d>(&self, document: &'d Value) -> &'d Value {
        let list = document[format!("{}s", self.kind)].as_array().expect("a list");
        list.iter().find(|object| object["id"] == self.id).unwrap_or(&Value::Null)
    }
}

/// The program, which is let end by itself: it has a cgroup to remove.
struct Held {
    running: Running,
    input: Option<ChildStdin>,
}

impl Held {
    fn end(&mut self) {
        drop(self.input.take());
        while self.running.line().is_some() {}
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the program that keeps objects.
fn holders(folder: &Path) -> (Held, BTreeMap<String, Made>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/bpfholders/main.go");
    let program = folder.join("holders");
    releases().pop().expect("a release").build(&source, &[], &program);
    let mut running = Running::start(Command::new(program).env("TMPDIR", folder));
    let lines = running.lines_until("ready");
    let held = Held { input: Some(running.stdin()), running };
    let mut made = BTreeMap::new();
    for line in lines {
        assert!(!line.starts_with("failed"), "{line}; RESIDUE_TEST_WITHOUT_BPF=1 leaves these tests out");
        if line.starts_with("without") {
            not_tested(&line);
            continue;
        }
        let mut words = line.split(' ');
        let mut word = || words.next().expect("a word").to_owned();
        let (name, kind, id) = (word(), word(), word().parse().expect("an id"));
        let facts =
            words.filter_map(|word| word.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned()));
        made.insert(name, Made { kind, id, facts: facts.collect() });
    }
    (held, made)
}

/// `residue inspect PID fds` tells the same pins, beside descriptors that no Go object holds.
fn beside_descriptors(held: &Held, made: &BTreeMap<String, Made>, paths: &[&str]) {
    let inspect = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
        let pid = held.running.pid().to_string();
        out(&command.args(["inspect", &pid, "fds", "--format", format]).output().expect("residue runs"))
    };
    let document: Value = serde_json::from_str(&inspect("json")).expect("JSON");
    let schema = include_str!("../../../docs/schema/inspect.schema.json");
    let mistakes = schema::mistakes(&serde_json::from_str(schema).expect("the schema is JSON"), &document);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    let objects = document["ebpf"]["objects"].as_array().expect("a list");
    let find = |one: &Made| {
        let found = objects.iter().find(|object| object["kind"] == *one.kind && object["id"] == one.id);
        found.unwrap_or_else(|| panic!("no {} {}: {objects:#?}", one.kind, one.id))
    };
    let pinned = find(&made["pinned"]);
    let pins: Vec<&str> =
        pinned["pins"].as_array().expect("a list").iter().filter_map(|pin| pin["path"].as_str()).collect();
    assert_eq!(pins, paths, "{pinned:#}");
    assert_eq!(pinned["descriptors"][0]["fd"], made["pinned"].number("fd"), "{pinned:#}");
    assert_eq!(find(&made["shared"])["descriptors"].as_array().map(Vec::len), Some(2), "dup makes a second one");
    // A link's descriptor tells its program too.
    let raw = find(&made["raw"]);
    assert_eq!(raw["descriptors"][0]["fd"], made["raw"].number("fd"), "{raw:#}");
    let text = inspect("text");
    let lines = format!("\n    pin  {}  (in the mount namespace of process ", paths[0]);
    assert!(text.contains(&lines) && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("no Go object known\n"), "{text}");
}

/// What the references of an object have to be, by the name of the way.
const EQUATIONS: &[(&str, &[(&str, u64)])] = &[
    ("file", &[("files", 1)]),
    ("pinned", &[("files", 1), ("pins", 1)]),
    ("shared", &[("files", 1)]),
    ("twice", &[("files", 2)]),
    ("program", &[("programs", 1)]),
    ("many", &[("files", 70)]),
    ("user", &[("files", 1)]),
    ("inner", &[("outer_map_entries", 2)]),
    ("mapped", &[("mappings", 1)]),
    ("flight", &[("in_flight", 1)]),
    ("ring", &[("io_uring", 1)]),
    ("orphan", &[("pins", 1)]),
    ("tail", &[("outer_map_entries", 1)]),
    ("socket", &[("sockets", 1)]),
    ("perf", &[("perf_events", 1)]),
    ("raw", &[("files", 1)]),
    ("linked", &[("links", 1)]),
    ("tcx", &[("pins", 1)]),
    ("netns", &[("files", 1)]),
    ("cgroup", &[("files", 1)]),
    ("attached", &[("attachments", 1)]),
    // Whoever attaches, the device, and the table by which the kernel calls it.
    ("generic", &[("attachments", 1), ("devices", 1), ("dispatcher", 1)]),
    ("driver", &[("attachments", 1), ("devices", 1), ("dispatcher", 1)]),
    ("xdplink", &[("files", 1)]),
    ("xdplinked", &[("links", 1), ("devices", 1), ("dispatcher", 1)]),
    ("ingress", &[("attachments", 1)]),
    ("egress", &[("attachments", 1)]),
    ("tcxattach", &[("attachments", 1)]),
    ("dissector", &[("attachments", 1)]),
    ("redirect", &[("outer_map_entries", 1)]),
    ("registered", &[("files", 1), ("registrations", 1)]),
    ("registeredfunction", &[("outer_map_entries", 1)]),
    ("structlink", &[("files", 1), ("links", 1)]),
    ("structlinklink", &[("files", 1)]),
    ("structlinkfunction", &[("outer_map_entries", 1)]),
];

#[test]
fn every_reference_is_explained() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (held, made) = holders(folder.path());
    let document = json(&[]);
    assert_eq!(document["method"], "iterators", "{}", document["hidden"]);
    for (name, terms) in EQUATIONS {
        let Some(one) = made.get(*name) else { continue };
        let object = one.find(&document);
        let refs = &object["refs"];
        let total: u64 = terms.iter().map(|(_, count)| count).sum();
        let seen: BTreeMap<&str, u64> = terms.iter().copied().collect();
        assert_eq!(refs["counted"], total, "{name}: {object}");
        let hidden = &document["hidden"];
        assert_eq!(refs["seen"], serde_json::to_value(&seen).expect("JSON"), "{name}: {object} {hidden}");
        assert_eq!(
            (&refs["unexplained_user"], &refs["unexplained_kernel"]),
            (&0.into(), &0.into()),
            "{name}: {object}"
        );
    }

    let pid = u64::from(held.running.pid());
    let holders = |name: &str| made[name].find(&document)["holders"].as_array().expect("a list").clone();
    // Descriptors by dup and fork are one open file; two by id are two.
    let shared = holders("shared");
    let pids: Vec<u64> = shared.iter().filter_map(|holder| holder["pid"].as_u64()).collect();
    assert_eq!(pids.iter().filter(|found| **found == pid).count(), 2, "{shared:?}");
    assert!(pids.contains(&made["shared"].number("child")), "{shared:?}");
    assert!(shared.iter().all(|holder| holder["file"] == shared[0]["file"]), "{shared:?}");
    let twice = holders("twice");
    assert_eq!(twice.len(), 2, "{twice:?}");
    assert_ne!(twice[0]["file"], twice[1]["file"], "{twice:?}");
    assert_eq!(twice[0]["fd"], made["twice"].number("fd"), "{twice:?}");
    // Where the hidden ones are.
    for (name, by, key, fact) in [
        ("flight", "in_flight", "fd", "socket"),
        ("ring", "io_uring", "slot", "slot"),
        ("socket", "socket", "fd", "fd"),
        ("perf", "perf_event", "fd", "fd"),
        ("program", "program", "id", "program"),
        ("inner", "map", "id", "outer"),
        ("tail", "map", "id", "array"),
        ("linked", "link", "id", "link"),
    ] {
        let Some(one) = made.get(name) else { continue };
        let holders = holders(name);
        assert_eq!(holders.len(), 1, "{name}: {holders:?}");
        assert_eq!(
            (&holders[0]["by"], &holders[0][key]),
            (&by.into(), &one.number(fact).into()),
            "{name}: {holders:?}"
        );
    }
    // A pin has two names and is one reference; it lies in a namespace of the program's own, and has odd letters.
    let pins: Vec<Value> = holders("pinned").into_iter().filter(|holder| holder["by"] == "pin").collect();
    let paths: Vec<&str> = pins.iter().filter_map(|pin| pin["path"].as_str()).collect();
    let dir = made["pinned"].fact("dir");
    assert_eq!(paths, [format!("{dir}/a pin\\x1b[31m"), format!("{dir}/same")]);
    assert!(pins.iter().all(|pin| pin["namespace_pid"].is_u64()), "{pins:?}");
    beside_descriptors(&held, &made, &paths);
    // Who it is.
    let process = document["processes"].as_array().and_then(|list| list.iter().find(|one| one["pid"] == pid));
    let process = process.expect("the program holds something");
    assert_eq!(process["name"], "holders");
    assert!(process["go"].as_str().is_some_and(|go| go.starts_with("go1.")), "{process}");
    // Where links lead.
    let place = |name: &str, key: &str| made.get(name).map(|one| one.find(&document)["point"]["place"][key].clone());
    assert_eq!(place("raw", "tracepoint"), Some("sched_process_exit".into()));
    assert!(place("tcx", "interface").is_none_or(|interface| interface == "lo"));
    let group = |name: &str| made.get(name).map_or(Value::Null, |one| one.fact("path").into());
    assert!(place("cgroup", "cgroup").is_none_or(|path| path == group("cgroup")));
    if let Some(attached) = made.get("attached") {
        let by = &attached.find(&document)["holders"][0];
        assert_eq!((&by["how"], &by["point"]["place"]["cgroup"]), (&"cgroup".into(), &group("attached")), "{by}");
    }
    // What is attached to devices of the program's own network namespace, which is not this one's.
    for (name, how, expected) in [
        ("generic", "xdp", &[("mode", "generic")][..]),
        ("driver", "xdp", &[("mode", "driver")]),
        (
            "ingress",
            "tc",
            &[("direction", "ingress"), ("priority", "7"), ("handle", "0x1"), ("name", "made by a test")],
        ),
        ("egress", "tc", &[("direction", "egress"), ("priority", "7"), ("handle", "0x1")]),
        ("tcxattach", "tcx", &[]),
        ("dissector", "netns", &[]),
    ] {
        let Some(one) = made.get(name) else { continue };
        let by = &one.find(&document)["holders"][0];
        let place = &by["point"]["place"];
        assert_eq!((&by["how"], &place["netns"]), (&how.into(), &one.fact("netns").into()), "{name}: {by}");
        let interface = Some(one.fact("interface")).filter(|interface| !interface.is_empty()).map(Value::from);
        assert_eq!(place.get("interface"), interface.as_ref(), "{name}: {by}");
        for (key, value) in expected {
            assert_eq!(place[*key], *value, "{name}: {by}");
        }
        let listed = document["attachments"].as_array().expect("a list");
        assert!(listed.iter().any(|other| other["program"] == one.id && other["point"] == by["point"]), "{name}");
    }
    // A link of a device tells neither its namespace nor the name that the device has there.
    if let Some(link) = made.get("xdplink") {
        assert_eq!(place("xdplink", "interface"), Some("veth0".into()));
        assert_eq!(place("xdplink", "netns"), Some(link.fact("netns").into()));
        assert_eq!(place("tcx", "netns"), Some(link.fact("netns").into()));
    }
    // What maps of programs are for.
    let tails = made["tail"].number("array");
    let tails = document["maps"].as_array().and_then(|maps| maps.iter().find(|map| map["id"] == tails));
    assert_eq!(tails.expect("it is there")["owner"]["program_type"], "socket_filter");
    for (name, state) in [("registered", "registered"), ("structlink", "ready")] {
        let Some(one) = made.get(name) else { continue };
        let known = &one.find(&document)["struct_ops"];
        assert_eq!((&known["interface"], &known["state"]), (&"tcp_congestion_ops".into(), &state.into()), "{name}");
        assert_eq!(known["name"], one.fact("name"), "{name}");
    }
    assert!(place("structlinklink", "implements").is_none_or(|interface| interface == "tcp_congestion_ops"));
    // What keeps things in the end.
    for (name, keeper) in [("orphan", "pin"), ("program", "process"), ("attached", "attachment"), ("inner", "process")]
    {
        let Some(one) = made.get(name) else { continue };
        assert_eq!(one.find(&document)["kept_by"], keeper, "{name}");
    }
}

#[test]
fn text_detail_orphans_and_graph() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (held, made) = holders(folder.path());
    let pid = held.running.pid();

    let maps = out(&bpf(&["maps"]));
    let line = |text: &str, id: u64| {
        let id = format!("{id} ");
        text.lines().find(|line| line.trim_start().starts_with(&id)).unwrap_or_default().to_owned()
    };
    let shared = line(&maps, made["shared"].id);
    assert!(shared.contains("1 = 1 file  (") && shared.contains(&format!("holders {pid} ×2")), "{shared}");
    let orphan = line(&maps, made["orphan"].id);
    assert!(orphan.contains("array") && orphan.contains("t_orphan") && orphan.contains("1 = 1 pin"), "{orphan}");

    if let Some(ingress) = made.get("ingress") {
        let text = out(&bpf(&["attachments"]));
        let program = format!("{} p_ingress ", ingress.id);
        let place =
            format!(" lo (1) ingress priority 7 handle 0x1 name made by a test netns {}", ingress.fact("netns"));
        let is_it = |line: &str| line.starts_with("tc ") && line.contains(&program) && line.ends_with(&place);
        assert!(text.lines().any(is_it), "{text}");
    }
    if let Some(registered) = made.get("registered") {
        let text = out(&bpf(&["map", &registered.id.to_string()]));
        let line = format!("implements tcp_congestion_ops {}, registered\n", registered.fact("name"));
        assert!(text.contains(&line) && text.contains("registered with the kernel, without a link"), "{text}");
    }

    let detail = out(&bpf(&["map", &made["pinned"].id.to_string()]));
    assert!(detail.starts_with(&format!("map {} t_pinned  hash\n", made["pinned"].id)), "{detail}");
    assert!(detail.contains("refs       2 = 1 file + 1 pin\n"), "{detail}");
    assert!(detail.contains(&format!("fd {}", made["pinned"].number("fd"))), "{detail}");
    assert!(detail.contains("a pin\\x1b[31m  as pid ") && !detail.contains('\u{1b}'), "{detail}");

    let orphans = out(&bpf(&["--orphans"]));
    assert!(orphans.contains(&format!("map {} t_orphan", made["orphan"].id)), "{orphans}");
    assert!(!orphans.contains("t_pinned") && !orphans.contains("p_attached"), "{orphans}");
    if let Some(tcx) = made.get("tcx") {
        let keeps = format!("keeps program {} p_tcx", tcx.number("program"));
        assert!(orphans.contains("only a pin keeps it attached") && orphans.contains(&keeps), "{orphans}");
    }

    let document = json(&["--orphans"]);
    let roots = document["orphans"].as_array().expect("a list");
    let root = roots.iter().find(|root| root["id"] == made["orphan"].id && root["kind"] == "map").expect("it is there");
    assert_eq!(
        (&root["kept_by"], &root["memory_bytes"]),
        (&"pin".into(), &made["orphan"].find(&document)["memory_bytes"])
    );

    let graph = out(&bpf(&["--format", "dot"]));
    assert!(graph.starts_with("digraph bpf {\n") && graph.ends_with("}\n"), "{graph}");
    let edge = |from: String, to: u64| graph.contains(&format!("  {from} -> map_{to} [label="));
    assert!(edge(format!("pid_{pid}"), made["file"].id), "{graph}");
    assert!(edge(format!("program_{}", made["program"].number("program")), made["program"].id), "{graph}");
    assert!(edge(format!("map_{}", made["inner"].number("outer")), made["inner"].id), "{graph}");
    assert!(graph.contains("a pin\\\\x1b[31m") && !graph.contains('\u{1b}'), "{graph}");

    let missing = bpf(&["map", "4294967295"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("error: there is no map 4294967295"));
    assert_eq!(bpf(&["summary", "1"]).status.code(), Some(2));
}

#[test]
fn rules_find_what_is_left() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (held, made) = holders(folder.path());
    let document = json(&[]);
    let findings = document["findings"].as_array().expect("a list");
    let of = |rule: &str, object: String| findings.iter().find(|one| one["rule"] == rule && one["object"] == object);
    let orphan = of("K201", format!("map {}", made["orphan"].id)).expect("only a pin keeps it");
    assert_eq!(orphan["path"], format!("{}/orphan", made["orphan"].fact("dir")));
    let many = of("K202", format!("map {}", made["many"].id)).expect("it is opened many times");
    let message = format!("process {} (holders) has 70 open files of map {}", held.running.pid(), made["many"].id);
    assert_eq!(many["message"], message);
    for name in ["file", "shared", "twice", "pinned"] {
        let object = format!("map {}", made[name].id);
        assert!(!findings.iter().any(|finding| finding["object"] == object), "{name}");
    }
    if let Some(gone) = made.get("gone") {
        let finding = of("K203", format!("link {}", gone.id)).expect("its cgroup is gone");
        assert_eq!(finding["severity"], "warning");
        assert!(finding["notes"].to_string().contains("p_gone"), "{finding}");
        let cgroup = of("K203", format!("link {}", made["cgroup"].id));
        assert!(cgroup.is_none(), "{cgroup:?}");
    }
    let text = out(&bpf(&[]));
    assert!(text.contains(&format!("K202 warning: {message}")), "{text}");
    assert_eq!(bpf(&["--fail-on", "warning"]).status.code(), Some(1));
    assert_eq!(bpf(&["--fail-on", "error"]).status.code(), Some(0));
}

#[test]
fn what_has_changed_is_told() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let before = folder.path().join("before.json");
    let (mut held, made) = holders(folder.path());
    std::fs::write(&before, &bpf(&["--format", "json"]).stdout).expect("it is writable");
    let before = before.to_str().expect("a path");

    // The program ends, and all it held goes.
    held.end();
    let id = made["file"].id;
    // The kernel frees objects some time after their last holder went.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let text = loop {
        let text = out(&bpf(&["maps", "--diff", before]));
        if text.contains(&format!("- map {id} t_file")) || std::time::Instant::now() > deadline {
            break text;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    // How many bytes it takes is another number on another kernel.
    let gone = text.lines().find(|line| line.starts_with(&format!("- map {id} t_file  array  ")));
    assert!(gone.is_some_and(|line| line.ends_with("B · 1 reference · 1 descriptor")), "{text}");
    let document = json(&["--diff", before]);
    let changes = document["changes"].as_array().expect("a list");
    let gone = changes.iter().find(|change| change["id"] == id && change["kind"] == "map").expect("the map");
    assert_eq!((&gone["change"], &gone["now"]["descriptors"]), (&"removed".into(), &1.into()));

    // What a file says is added up, whatever it says.
    let large = r#"{"id":4294967294,"memory_bytes":18446744073709551615},{"id":4294967295,"memory_bytes":18446744073709551615}"#;
    std::fs::write(before, format!(r#"{{"schema":{},"taken_unix_ms":1,"maps":[{large}]}}"#, document["schema"]))
        .expect("it is written");
    assert!(out(&bpf(&["maps", "--diff", before])).contains("4294967295"));
    let wrong = bpf(&["--diff", "/dev/null"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("hint: `residue bpf --format json > FILE`"));
}

#[test]
fn with_less_it_shows_less_and_says_so() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (held, made) = holders(folder.path());
    let pid = u64::from(held.running.pid());

    // By id: everything but counts, and what has neither descriptor nor pin.
    let by_id = json(&["--method", "by-id"]);
    assert_eq!(by_id["method"], "by-id");
    // Memory of equal maps is read once with iterators, of each map without.
    let by_iterators = json(&["maps"]);
    for one in made.values().filter(|one| one.kind == "map") {
        let memory = |document: &Value| one.find(document)["memory_bytes"].as_u64();
        assert_eq!(memory(&by_iterators), memory(&by_id), "map {}", one.id);
    }
    let file = made["shared"].find(&by_id);
    assert!(
        file["refs"]["counted"].is_null() && file["holders"].as_array().is_some_and(|list| list.len() >= 3),
        "{file}"
    );
    assert_eq!(made["mapped"].find(&by_id)["kept_by"], "unseen");
    let hidden = by_id["hidden"].to_string();
    for what in ["mappings of maps into memory", "files in flight between sockets", "counts of references"] {
        assert!(hidden.contains(what), "{what}: {hidden}");
    }

    // From /proc: what somebody has a descriptor of.
    let fdinfo = json(&["--method", "fdinfo"]);
    assert_eq!(fdinfo["method"], "fdinfo");
    let file = made["file"].find(&fdinfo);
    assert_eq!((&file["type"], &file["max_entries"], &file["memory_bytes"]), (&"array".into(), &1.into(), &320.into()));
    assert_eq!(
        (&file["holders"][0]["pid"], &file["holders"][0]["fd"]),
        (&pid.into(), &made["file"].number("fd").into())
    );
    assert!(made["mapped"].find(&fdinfo).is_null());
    assert_eq!(made["raw"].find(&fdinfo)["type"], "raw_tracepoint");
}

#[test]
fn without_privileges_it_says_what_is_hidden() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (_held, made) = holders(folder.path());
    // Nobody can't get into the folder of the build.
    let program = folder.path().join("residue");
    std::fs::copy(env!("CARGO_BIN_EXE_residue"), &program).expect("it is copied");
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), readable).expect("it is ours");
    let nobody = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--"])
        .arg(&program)
        .args(["bpf", "maps"])
        .output()
        .expect("setpriv of util-linux");
    let text = out(&nobody);
    assert!(text.contains("note: read from /proc alone"), "{text}");
    assert!(text.contains("hidden: objects can't be asked for by id: ") && text.contains("CAP_SYS_ADMIN"), "{text}");
    assert!(text.contains("CAP_SYS_PTRACE") && text.contains("CAP_NET_ADMIN to ask"), "{text}");
    assert!(!text.contains(&format!("\n{} ", made["file"].id)), "{text}");
    if made.contains_key("generic") {
        assert!(text.contains("hidden: what is attached in the network namespaces of "), "{text}");
    }
}

#[test]
fn nothing_of_its_own_is_shown_or_left() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let own = ["maps", "programs", "links", "mappings", "hidden", "files"];
    for _ in 0..3 {
        let document = json(&["programs"]);
        let programs = document["programs"].as_array().expect("a list");
        let is_own = |program: &Value| {
            program["type"] == "tracing" && program["name"].as_str().is_some_and(|name| own.contains(&name))
        };
        assert!(!programs.iter().any(is_own), "{programs:?}");
    }
}

#[test]
fn a_hundred_thousand_descriptors_and_a_storm_of_processes() {
    let _alone = alone();
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/bpf/many.go");
    let program = folder.path().join("many\u{1b}[2J");
    releases().pop().expect("a release").build(&source, &[], &program);
    // The limit of one process may be 20,000.
    let many = 17_000_u64;
    let mut crowd: Vec<Running> = (0..6)
        .map(|_| {
            let mut command = Command::new(&program);
            command.args(["-maps", "3", "-pins=false", "-descriptors", &many.to_string()]);
            Running::start(&mut command)
        })
        .collect();
    for one in &mut crowd {
        assert_eq!(one.line().as_deref(), Some("ready"));
    }

    let storm = Storm::start();
    for method in ["iterators", "fdinfo"] {
        let written = bpf(&["maps", "--format", "json", "--method", method]);
        let document: Value = serde_json::from_str(&out(&written)).expect("JSON");
        let maps = document["maps"].as_array().expect("a list");
        for one in &crowd {
            let descriptors = |map: &Value| {
                let holders = map["holders"].as_array().expect("a list");
                let of = |holder: &&Value| holder["by"] == "descriptor" && holder["pid"] == one.pid();
                holders.iter().filter(of).count() as u64
            };
            let counts: Vec<u64> = maps.iter().map(descriptors).filter(|count| *count > 0).collect();
            assert_eq!(counts, [1, 1, many + 1], "{method}");
        }
    }
    drop(storm);
    let text = out(&bpf(&["maps"]));
    assert!(text.contains("many\\x1b[2J") && !text.contains('\u{1b}'), "{text}");
    assert!(crowd.iter_mut().all(Running::is_alive));
}

/// Processes that begin and end all the time, so that some are gone before anything can be asked of them.
struct Storm {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Storm {
    fn start() -> Self {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let blow = move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = Command::new("/bin/true").status();
            }
        };
        Self { stop, thread: Some(std::thread::spawn(blow)) }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
