//! What was seen, kept as evidence: of which program, when, how, and a digest of it all.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use residue_target::Kind;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Shown, View, json};
use crate::error::Error;
use residue_finding::Date;

/// Changes when what is there changes its meaning.
const VERSION: u32 = 1;

/// The file. `docs/schema/evidence.schema.json` describes it.
#[derive(Serialize)]
struct Evidence {
    schema: u32,
    tool: String,
    taken_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    target: TargetJson,
    /// What was stopped: `full`, `roots`, `none`; `core` for a core.
    mode: &'static str,
    /// Of `report`, without blanks and with its keys sorted.
    sha256: String,
    report: serde_json::Value,
}

#[derive(Serialize)]
struct TargetJson {
    program: String,
    program_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gnu_build_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    go_build_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_package: Option<String>,
    go_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    core: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    core_sha256: Option<String>,
}

/// Writes the file, which must not be there: evidence is not written over.
pub(super) fn save(shown: &Shown<'_>, view: View, core: &Path, path: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::failed(format!("cannot write {}: {error}", path.display()));
    // A value has its keys sorted.
    let report = serde_json::to_value(json::document(shown, view)).map_err(|error| failed(error.into()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let (pid, core) = match shown.target.kind {
        Kind::Process(pid) => (Some(pid), None),
        Kind::Core => (None, Some(core)),
    };
    let core_sha256 = match core {
        Some(core) => Some(
            digest_of_file(core).map_err(|error| Error::failed(format!("cannot read {}: {error}", core.display())))?,
        ),
        None => None,
    };
    let elf = &shown.binary.elf;
    let evidence = Evidence {
        schema: VERSION,
        tool: format!("residue {}", env!("CARGO_PKG_VERSION")),
        taken_at: utc(now.as_secs()),
        host: hostname.map(|name| name.trim().to_owned()),
        target: TargetJson {
            program: shown.target.program_path.to_string_lossy().into_owned(),
            program_sha256: hex(&Sha256::digest(&shown.target.program)),
            gnu_build_id: elf.build_id().map(hex),
            go_build_id: elf.go_build_id().map(|id| String::from_utf8_lossy(id).into_owned()),
            main_package: shown.binary.build.main_path().map(str::to_owned),
            go_version: shown.report.version.clone(),
            pid,
            started_at: shown.target.uptime().map(|up| utc(now.saturating_sub(up).as_secs())),
            core: core.map(|core| core.to_string_lossy().into_owned()),
            core_sha256,
        },
        mode: shown.mode(),
        sha256: hex(&Sha256::digest(report.to_string().as_bytes())),
        report,
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let error = failed(error);
        if exists { error.hint("evidence is not written over: take another name") } else { error }
    })?;
    serde_json::to_writer_pretty(&mut file, &evidence).map_err(|error| failed(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.sync_all()).map_err(failed)
}

fn digest_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..read]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A time as RFC 3339 has it, of seconds since 1970.
pub(super) fn utc(seconds: u64) -> String {
    let date = Date::from_unix_days(u32::try_from(seconds / 86_400).unwrap_or(0));
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_709_210_096), "2024-02-29T12:34:56Z");
    }
}
