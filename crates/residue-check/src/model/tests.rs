//! The embedded models, and errors in models of users.

use super::{EMBEDDED, Models};

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let mut models = Models::embedded().expect("the embedded models are right");
    match models.add_all(files.iter().copied()) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_embedded_models_are_right() {
    let models = match Models::embedded() {
        Ok(models) => models,
        Err(errors) => {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!("{}", errors.join("\n"));
        }
    };
    assert!(models.packages().count() > 50);
    let open = models.roles("os", "", "Open").and_then(|roles| roles.acquire).expect("os.Open acquires");
    assert_eq!(models.resource(open).kind, "os-file");
    assert!(models.roles("net/url", "", "Parse").is_none());
    assert!(models.roles("golang.org/x/sys/unix", "", "Fstat").is_some_and(|roles| roles.borrows));
    assert!(models.roles("golang.org/x/sys/unix", "", "Accept").is_some_and(|r| r.borrows && r.acquire.is_some()));
    assert!(models.is_options("github.com/cilium/ebpf/link", "XDPOptions"));
    assert!(models.stubs().iter().any(|stub| &*stub.import_path == "github.com/cilium/ebpf/ringbuf"));
}

#[test]
fn the_embedded_files_are_all_of_the_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names, EMBEDDED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

#[test]
fn the_embedded_models_agree_with_the_standard_library() {
    let mut models = Models::default();
    let errors: Vec<_> = match models.add_all(EMBEDDED.iter().copied()) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

#[test]
fn what_the_standard_library_does_not_declare_is_an_error() {
    assert_eq!(
        errors(&[("m.toml", "[[package]]\npath = \"os\"\nborrows = [\"Chmod\", \"Chmode\", \"(*File).Chmode\"]\n")]),
        [
            "m.toml:3:21: package os declares no function Chmode",
            "m.toml:3:31: type File of package os declares no method Chmode",
        ]
    );
    assert_eq!(
        errors(&[("m.toml", "[[package]]\npath = \"os/nothing\"\nborrows = [\"F\"]\n")]),
        ["m.toml:3:12: package os/nothing is not part of the standard library: give its `declarations`"]
    );
}

#[test]
fn a_user_adds_a_package_and_extends_another() {
    let mut models = Models::embedded().expect("the embedded models are right");
    let text = r#"
[[resource]]
kind = "lease"
name = "lease"
types = ["*example.com/lease.Lease"]
release = ["Release"]
verb = "released"
cost = "each time: one lease"
severity = "error"
confidence = "high"
cwe = [772]

[[package]]
path = "example.com/lease"
acquire.lease = ["Take", "(*Pool).Take"]
acquire.os-file = ["Log"]
declarations = '''
package lease

import "os"

type Lease struct{}
type Pool struct{}

func (l *Lease) Release()
func (p *Pool) Take() (*Lease, error)
func Take() *Lease
func Log() *os.File
'''

[[package]]
path = "os"
borrows = ["Chmod"]
"#;
    models.add_all([("lease.toml", text)]).expect("the model is right");
    let take = models.roles("example.com/lease", "Pool", "Take").and_then(|r| r.acquire).expect("it acquires");
    assert_eq!(models.resource(take).kind, "lease");
    assert!(models.roles("os", "", "Chmod").is_some_and(|r| r.borrows));
    assert!(models.roles("os", "", "Open").is_some_and(|r| r.acquire.is_some()), "what was there stays");
}

#[test]
fn words_are_added_to_those_that_are_there() {
    let mut models = Models::embedded().expect("the embedded models are right");
    assert!(!models.words().decides("mustBeMember"));
    models.add_all([("own.toml", "[words]\ndecides = [\"mustbemember\"]\n")]).expect("the words are right");
    let words = models.words();
    assert!(["mustBeMember", "isAllowed", "mayWrite", "checkToken"].iter().all(|name| words.decides(name)));
    assert!(["maybe", "cancel", "check", "tokenCheck"].iter().all(|name| !words.decides(name)));
    assert!(words.refuses("isDenied") && words.passes_on("nextHandler"));
}

#[test]
fn errors_have_file_and_line() {
    assert_eq!(
        errors(&[("m.toml", "[[package]]\npath = \"os\"\nborows = [\"Chmod\"]\n")]),
        [
            "m.toml:3:1: unknown field `borows`, expected one of `path`, `acquire`, `acquire_if`, `release`, `until_cancelled`, \
          `drains`, `makes_error`, `never_fails`, `ends`, `panics`, `outlives`, `no_return`, `borrows`, `runs`, `leaves`, `keeps`, `wraps`, `owns`, `cancels`, `root_context`, `tests_prefix`, `tests_suffix`, `test_fails`, `expects_error`, \
          `expects_success`, `options`, `handlers`, `commands`, `command_fields`, `declarations`"
        ]
    );
    assert_eq!(
        errors(&[("m.toml", "[[package]]\npath = \"os\"\nacquire.os-fil = [\"Open\"]\n")]),
        ["m.toml:3:9: no resource has the kind `os-fil`"]
    );
    assert_eq!(
        errors(&[(
            "m.toml",
            "[[package]]\npath = \"os\"\nno_return.quit = [\"Exit\"]\nborrows = [\"a b\", \"(*T.x\"]"
        )]),
        [
            "m.toml:3:11: `quit` is no way to not return: write exit, panic, goexit or never",
            "m.toml:4:12: `a b` is not a function: write `Name`, `(*Type).Name` or `Type.Name`",
            "m.toml:4:19: `(*T.x` is not a function: write `Name`, `(*Type).Name` or `Type.Name`",
        ]
    );
    assert_eq!(
        errors(&[("m.toml", "[[package]]\npath = \"example.com/a\"\nborrows = [\"F\"]\n")]),
        ["m.toml:3:12: package example.com/a is not part of the standard library: give its `declarations`"]
    );
    assert_eq!(
        errors(&[("m.toml", "[words]\nrefuses = [\"No\"]\n")]),
        ["m.toml:2:12: `No` is not a word in lower case"]
    );
    assert_eq!(errors(&[("m.toml", "[[package]\n")]).len(), 1, "not even TOML");
}

#[test]
fn errors_in_declarations_point_into_them() {
    let text = "[[package]]\npath = \"example.com/a\"\nborrows = [\"F\", \"G\", \"(*T).M\", \"(*U).M\"]\n\
                declarations = '''\npackage a\n\nfunc F(\ntype T struct{}\n'''\n";
    let errors = errors(&[("m.toml", text)]);
    assert!(errors.iter().any(|e| e.starts_with("m.toml:7:") || e.starts_with("m.toml:8:")), "{errors:?}");
    assert!(errors.contains(&"m.toml:3:17: package example.com/a declares no function G".to_owned()), "{errors:?}");
    assert!(errors.contains(&"m.toml:3:32: package example.com/a declares no type U".to_owned()), "{errors:?}");
}

#[test]
fn files_with_errors_add_nothing() {
    let mut models = Models::embedded().expect("the embedded models are right");
    let before = models.packages().count();
    let good = "[[package]]\npath = \"net/url\"\nborrows = [\"Parse\"]\n";
    models.add_all([("good.toml", good), ("bad.toml", "x = 1")]).expect_err("one file is bad");
    assert_eq!(models.packages().count(), before);
}
