//! What can be said in a configuration, and what is said about mistakes.

use super::*;

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(Path::new("/repo/.residue.toml"), text, Origin::Given)
}

#[test]
fn everything_can_be_said() {
    let config = parse(
        "exclude = ['gen/**']\nfail-on = 'error'\nstrict = true\ntests = true\ninclude-vendor = true\n\
         tags = ['linux']\nplatforms = ['linux/amd64', 'windows/arm64,x']\nmodels = ['models/ours.toml']\n\
         baseline = 'known.toml'\n[rules]\nenable = ['R201']\ndisable = ['R203',\n'R209']\n\
         [[ignore]]\npaths = ['cmd/**', 'tools/']\nrules = ['R201']\nuntil = 2027-01-31\nwhy = 'one-shot'\n\
         [[ignore]]\npaths = ['x.go']\nuntil = '2027-02-01'\n",
    )
    .expect("it is well-formed");
    assert_eq!(config.exclude, [("gen/**".to_owned(), 1)]);
    assert_eq!(config.fail_on, Some(FailOn::Severity(Severity::Error)));
    assert!(config.strict && config.tests && config.include_vendor);
    assert_eq!(config.models, [Path::new("/repo/models/ours.toml")]);
    assert_eq!(config.baseline.as_deref(), Some(Path::new("/repo/known.toml")));
    let platforms: Vec<_> = config.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "windows/arm64,x"]);
    let disabled: Vec<_> = config.disable.iter().map(|(rule, line)| (rule.code.as_str(), *line)).collect();
    assert_eq!(disabled, [("R203", 12), ("R209", 13)]);
    let [first, second] = &config.ignore[..] else { panic!("two lists of paths") };
    assert!(first.paths.cover("cmd/x/a.go") && first.paths.cover("a/tools/b.go") && !first.paths.cover("x.go"));
    assert_eq!((first.rules[0].code.as_str(), first.why.as_str(), first.line), ("R201", "one-shot", 14));
    assert_eq!(first.until.map(|day| day.to_string()).as_deref(), Some("2027-01-31"));
    assert!(second.rules.is_empty() && second.until > first.until);
    assert!(parse("").is_ok());
}

#[test]
fn mistakes_name_their_line() {
    for (text, message, hint) in [
        ("tests = true\nexlude = []\n", "/repo/.residue.toml:2: unknown field `exlude`", "did you mean `exclude`?"),
        ("\n[rules]\ndisable = ['R20l']\n", "/repo/.residue.toml:3: there is no rule `R20l`", "did you mean `R201`?"),
        ("fail-on = 'fatal'\n", "/repo/.residue.toml:1: `fatal` is no severity", ""),
        ("\nplatforms = [\n'linux']\n", "/repo/.residue.toml:3: `linux` is no platform: expected GOOS/GOARCH", ""),
        ("tests = 1\n", "/repo/.residue.toml:1: invalid type", ""),
        ("x\ny = [\n", "/repo/.residue.toml:1: ", ""),
        ("exclude = [\n'a['\n]\n", "/repo/.residue.toml:2: bad pattern `a[`: missing `]`", ""),
        ("[[ignore]]\npaths = []\n", "/repo/.residue.toml:1: `[[ignore]]` without `paths` ignores nothing", ""),
        ("[[ignore]]\nrules = ['R201']\n", "/repo/.residue.toml:1: missing field `paths`", ""),
        ("[[ignore]]\npaths = ['a']\nuntil = 2027-01-31T00:00:00Z\n", "/repo/.residue.toml:3: `until = ", ""),
        ("[[ignore]]\npaths = ['a']\nuntil = 'soon'\n", "/repo/.residue.toml:3: `until = soon` ends nowhere", ""),
        (
            "[[ignore]]\npaths = ['a']\nrule = []\n",
            "/repo/.residue.toml:3: unknown field `rule`",
            "did you mean `rules`?",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.message().starts_with(message), "{}", error.message());
        assert_eq!(error.exit(), crate::error::Exit::Usage);
        assert!(error.hints().iter().any(|h| h == hint) || hint.is_empty(), "{:?}", error.hints());
    }
}

#[test]
fn a_configuration_of_the_tree_names_files_of_the_tree() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let outside = tempfile::tempdir().expect("a directory for the test");
    let file = dir.path().join("sub/.residue.toml");
    std::fs::create_dir_all(dir.path().join("sub")).expect("it is writable");
    std::fs::create_dir_all(dir.path().join(".git")).expect("it is writable");
    std::fs::write(dir.path().join("ours.toml"), "").expect("it is writable");
    std::fs::write(outside.path().join("theirs.toml"), "").expect("it is writable");
    let theirs = outside.path().join("theirs.toml");
    let mut refused = vec![format!("baseline = '{}'", theirs.display()), "models = ['../../x.toml']".to_owned()];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&theirs, dir.path().join("sub/link.toml")).expect("links can be made");
        refused.push("models = ['link.toml']".to_owned());
        refused.push("baseline = 'link.toml'".to_owned());
    }
    for text in refused {
        let error = Config::parse(&file, &text, Origin::Found).expect_err(&text);
        assert!(error.message().contains("lies outside the repository"), "{}", error.message());
        assert!(Config::parse(&file, &text, Origin::Given).is_ok(), "{text}");
    }
    for text in ["models = ['../ours.toml']", "baseline = 'new.toml'"] {
        assert!(Config::parse(&file, text, Origin::Found).is_ok(), "{text}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&theirs, &file).expect("links can be made");
        let error = Config::find(&dir.path().join("sub")).expect_err("it leads out");
        assert!(error.message().contains("leads out of the repository"), "{}", error.message());
        assert!(Config::read(&file).is_ok());
    }
}
