//! Recordings that nobody wrote in good faith: whatever they say, they are looked at to the end or refused.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::path::Path;

use tracing::trace;

const RECORDING: &str = r#"{"start":{"version":1,"at_ns":1,"pids":[1],"by":"ebpf"}}
{"site":{"id":1,"role":"opens","pid":1,"program":"p\u001b[31m","call":"openat","kind":"file","example":"/\u001b[31m","frames":[{"function":"main.m\u001b[31m","package":"main","file":"/x/m\u001b[31m.go","line":3,"own":true}]}}
{"site":{"id":2,"role":"recovers","pid":1,"program":"p","call":"","kind":"","frames":[{"function":"main.r\u009b31m","package":"main","file":"/x/m.go","line":9,"own":true}],"resumes":4294967295}}
{"site":{"id":3,"role":"closes","pid":1,"program":"p","call":"close","kind":"","frames":[{"function":"main.c\u202e","package":"main","file":"/x/m.go","line":9,"own":true}]}}
{"count":{"site":1,"opened":18446744073709551615,"closed":0,"ended":18446744073709551615,"last_ns":2}}
{"count":{"site":2,"opened":18446744073709551615,"closed":0,"ended":0,"last_ns":2}}
{"pair":{"kind":"unwound","opener":1,"closer":2,"count":18446744073709551615,"goid":1,"pid":1,"fd":3}}
{"pair":{"kind":"bad_close","opener":3,"closer":3,"count":18446744073709551615,"goid":1,"pid":1,"fd":3}}
{"losses":{"unknown_closes":0,"bad_closes":1,"ghosts":18446744073709551615,"unknown_ended":18446744073709551615,"live":18446744073709551615,"sites":1,"tables":1,"pairs":1,"events":1,"unread":1,"compat":1}}
{"live":{"pid":1,"fd":3,"site":0,"opened_ns":3,"goid":1,"link":"/x\u001b[31m"}}
{"live":{"pid":1,"fd":4,"site":1,"opened_ns":18446744073709551615,"goid":1,"link":"/x\u001b[31m"}}
{"tick":{"at_ns":18446744073709551615}}
{"end":{"at_ns":5,"exited":true}}
"#;

/// What is printed of a recording, on both streams, and the exit code.
fn replayed(file: &Path, recording: &[u8], format: &str) -> (String, i32) {
    std::fs::write(file, recording).expect("the recording is written");
    let output = trace(&["--replay", file.to_str().expect("UTF-8"), "--format", format], &[]);
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.code().expect("no signal"))
}

#[test]
fn nothing_in_a_recording_reaches_the_terminal_unescaped() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording");
    let (said, code) = replayed(&file, RECORDING.as_bytes(), "text");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("K103") && said.contains("main.m"), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
    // Kinds and calls are printed as they are, so that others than ours are no events.
    for (plain, hostile) in [("\"kind\":\"file\"", r#""kind":"\u001b[2J""#), ("\"openat\"", r#""\u009b""#)] {
        let (said, code) = replayed(&file, RECORDING.replace(plain, hostile).as_bytes(), "text");
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("recording:2: "), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{9b}']), "{said:?}");
    }
}

#[test]
fn containers_are_told_from_a_recording_and_missing_in_old_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording");
    let id = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
    let placed = format!(
        r#"{{"placed":{{"pid":1,"cgroup":"/x\u001b[31m","container":{{"runtime":"docker","id":"{id}","name":"web\u001b[2J\u202e"}}}}}}"#
    );
    let forked = r#"{"process":{"at_ns":2,"pid":2,"change":{"forked":{"parent":1,"shared":false}}}}"#;
    // The first line, and those about the opener; a child has some open.
    let head = RECORDING.lines().take(2).collect::<Vec<_>>().join("\n").replace("\"version\":1", "\"version\":2");
    let open = |pid: u32, fd: u32| {
        format!(r#"{{"live":{{"pid":{pid},"fd":{fd},"site":1,"opened_ns":3,"goid":1,"link":"/x"}}}}"#)
    };
    let count = r#"{"count":{"site":1,"opened":3,"closed":0,"ended":0,"last_ns":2}}"#;
    let end = r#"{"end":{"at_ns":5,"exited":true}}"#;
    let recording = [&head, &placed, forked, count, &open(1, 3), &open(2, 3), &open(9, 3), end].join("\n");
    let (said, code) = replayed(&file, recording.as_bytes(), "json");
    assert_eq!(code, 1, "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let opener = &report["openers"][0]["containers"];
    assert_eq!((&opener[0]["id"], &opener[0]["live"]), (&id.into(), &2.into()), "{opener}");
    let each = report["containers"].as_array().expect("a list");
    let told: Vec<_> =
        each.iter().map(|one| (one["container"]["id"].as_str(), &one["processes"], &one["live"])).collect();
    assert_eq!(told, [(Some(id), &2.into(), &2.into()), (None, &1.into(), &1.into())]);
    let (said, _) = replayed(&file, recording.as_bytes(), "text");
    assert!(said.contains("p\\x1b[31m in docker web\\x1b[2J"), "{said}");
    assert!(said.contains("2        2  docker web\\x1b[2J") && said.contains("1        1  none (1 process)"), "{said}");
    assert!(said.contains("= in docker web") && !said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    // As it was before containers were told.
    let (said, code) = replayed(&file, RECORDING.as_bytes(), "json");
    let report: serde_json::Value = serde_json::from_str(
        said.lines().take_while(|line| *line != "}").chain(["}"]).collect::<Vec<_>>().join("\n").as_str(),
    )
    .expect("JSON");
    assert_eq!((code, report.get("containers")), (1, None));
    let later = recording.replace("\"version\":2", "\"version\":3");
    let (said, code) = replayed(&file, later.as_bytes(), "text");
    assert!(code == 3 && said.contains("a recording of version 3, this reads 1 to 2"), "{said}");
}

#[test]
fn broken_recordings_are_looked_at_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording");
    let lines: Vec<&str> = RECORDING.split_inclusive('\n').collect();
    let mut recordings: Vec<Vec<u8>> = Vec::new();
    for at in 0..lines.len() {
        // One line less, one twice, one in another place, one cut.
        let without = lines.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, line)| *line);
        recordings.push(without.clone().collect::<String>().into_bytes());
        recordings.push(without.chain([lines[at]]).collect::<String>().into_bytes());
        recordings.push([&lines[..=at], &lines[at..]].concat().concat().into_bytes());
        recordings.push([RECORDING.as_bytes(), &lines[at].as_bytes()[..lines[at].len() / 2]].concat());
    }
    recordings.extend([Vec::new(), b"\n".to_vec(), vec![b'['; 3 << 20], vec![0xff; 64]]);
    for (number, recording) in recordings.iter().enumerate() {
        let format = ["text", "json", "pprof"][number % 3];
        let (said, code) = replayed(&file, recording, format);
        assert!(matches!(code, 0 | 1 | 3), "{number} ended with {code}: {said}");
        assert!(!said.contains("panicked"), "{number}: {said}");
    }
}
