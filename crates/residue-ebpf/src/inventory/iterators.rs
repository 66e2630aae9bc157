//! Loads the iterators, runs them, and puts what they wrote into an inventory.

use std::io::Read as _;
use std::os::fd::AsFd as _;

use aya::programs::Iter;
use aya::{Btf, Ebpf, EbpfLoader};
use residue_fd::objects::{Hold, Inventory, ObjectId, Process};

use super::record::{self, Record};
use crate::sys;

/// The compiled programs of `bpf/inventory.bpf.c`.
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/out/arm64/inventory.bpf.o");
#[cfg(not(target_arch = "aarch64"))]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/out/amd64/inventory.bpf.o");

/// Programs by name, what they iterate over, and what is not seen without them.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("maps", "bpf_map", "references of maps"),
    ("programs", "bpf_prog", "references of programs"),
    ("links", "bpf_link", "references of links"),
    ("mappings", "task_vma", "maps that are mapped into memory"),
    ("hidden", "task_file", "files in flight between sockets or registered with io_uring, programs of sockets"),
    ("files", "task_file", "descriptors"),
];
/// What has to work: without it /proc tells more.
const NEEDED: [&str; 2] = ["maps", "files"];

/// What the iterators have seen.
pub(super) struct Seen {
    records: Vec<Record>,
    /// The programs and maps of the iterators themselves.
    own: Vec<ObjectId>,
    /// Names of the iterators that ran.
    ran: Vec<&'static str>,
    hidden: Vec<String>,
}

/// Iterators that are loaded.
pub(super) struct Iterators {
    ebpf: Ebpf,
    loaded: Vec<&'static str>,
    own: Vec<ObjectId>,
    /// What can't be seen because one of them can't be loaded.
    hidden: Vec<String>,
}

impl Iterators {
    /// Loads them all.
    pub(super) fn load() -> Result<Self, String> {
        // Without privileges the loader takes the kernel for an old one, and says what such a one can't do.
        Self::try_load().map_err(|why| match crate::probe::missing() {
            missing if missing.is_empty() => why,
            missing => format!("it takes {}", missing.join(", ")),
        })
    }

    fn try_load() -> Result<Self, String> {
        let btf =
            Btf::from_sys_fs().map_err(|error| format!("no type information of the kernel: {}", chain(&error)))?;
        let ebpf = EbpfLoader::new().btf(Some(&btf)).load(OBJECT).map_err(|error| chain(&error))?;
        let mut all = Self { ebpf, loaded: Vec::new(), own: Vec::new(), hidden: Vec::new() };
        for (name, target, what) in PROGRAMS {
            match load(&mut all.ebpf, name, target, &btf) {
                Ok(id) => {
                    all.own.push(ObjectId::program(id));
                    all.loaded.push(*name);
                }
                Err(why) if NEEDED.contains(name) => return Err(why),
                Err(why) => all.hidden.push(format!("{what}: {why}")),
            }
        }
        all.own.extend(all.ebpf.maps().filter_map(|(_, map)| map_id(map)).map(ObjectId::map));
        Ok(all)
    }

    /// Runs them. This process may have no descriptors of objects then but those it began with: they would be counted.
    pub(super) fn run(mut self) -> Result<Seen, String> {
        let mut seen = Seen { records: Vec::new(), own: self.own, ran: self.loaded, hidden: self.hidden };
        let mut odd = 0;
        for name in &seen.ran {
            let bytes = run(&mut self.ebpf, name).map_err(|why| format!("iterator `{name}`: {why}"))?;
            let (records, not_understood) = record::parse(&bytes);
            seen.records.extend(records);
            odd += not_understood;
        }
        if odd > 0 {
            seen.hidden.push(format!("{odd} records of the iterators were not understood"));
        }
        Ok(seen)
    }
}

fn iterator<'e>(ebpf: &'e mut Ebpf, name: &str) -> Result<&'e mut Iter, String> {
    let program = ebpf.program_mut(name).ok_or("it is missing from the object")?;
    program.try_into().map_err(|error: aya::programs::ProgramError| chain(&error))
}

/// Loads a program; gives its id.
fn load(ebpf: &mut Ebpf, name: &str, target: &str, btf: &Btf) -> Result<u32, String> {
    let program = iterator(ebpf, name)?;
    program.load(target, btf).map_err(|error| chain(&error))?;
    program.info().map(|info| info.id()).map_err(|error| chain(&error))
}

fn run(ebpf: &mut Ebpf, name: &str) -> Result<Vec<u8>, String> {
    let program = iterator(ebpf, name)?.fd().map_err(|error| chain(&error))?.as_fd();
    let mut file = sys::iter(program, None).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            // Objects that come and go can make it start over.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn map_id(map: &aya::maps::Map) -> Option<u32> {
    use aya::maps::Map;
    let (Map::Array(data) | Map::Unsupported(data)) = map else { return None };
    data.info().ok().map(|info| info.id())
}

/// An error with its causes, in one line: the log of the verifier, which follows, is for those who write programs.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

impl Seen {
    /// Puts it into an inventory; gives the objects that looking itself has made.
    pub(super) fn into_inventory(self, inventory: &mut Inventory) -> Vec<ObjectId> {
        inventory.hidden.extend(self.hidden);
        let pid = std::process::id();
        let own = |hold: &Hold| hold.by.pid() == Some(pid) && self.own.contains(&hold.object);
        for record in &self.records {
            match record {
                Record::Map { id, counts, frozen } => {
                    if let Some(map) = inventory.maps.get_mut(id) {
                        map.counts = Some(*counts);
                        map.frozen = Some(*frozen);
                    }
                }
                Record::Program { id, refs, verified, target } => {
                    if let Some(program) = inventory.programs.get_mut(id) {
                        program.refs = Some(*refs);
                        program.target_program = *target;
                        let verified = u32::try_from(*verified).ok().filter(|count| *count > 0);
                        program.verified_instructions = program.verified_instructions.or(verified);
                    }
                }
                Record::Link { id, refs, perf_file, target } => {
                    if let Some(link) = inventory.links.get_mut(id) {
                        link.refs = Some(*refs);
                        link.perf_file = *perf_file;
                        link.target_program = *target;
                    }
                }
                Record::Uses { program, map } => {
                    if let Some(program) = inventory.programs.get_mut(program)
                        && !program.maps.contains(map)
                    {
                        program.maps.push(*map);
                    }
                }
                Record::Held { hold, .. } if own(hold) => {}
                Record::Held { hold, comm } => {
                    if let Some(pid) = hold.by.pid() {
                        inventory
                            .processes
                            .entry(pid)
                            .or_insert_with(|| Process { comm: comm.clone(), ..Process::default() });
                    }
                    inventory.holds.push(hold.clone());
                }
                Record::Cut { at, comm } => inventory
                    .hidden
                    .push(format!("process {} ({comm}) holds more by descriptor {} than was looked at", at.pid, at.fd)),
            }
        }
        // What was there when asked by id, and was not iterated over a moment later, has gone.
        let ran = |name| self.ran.contains(&name);
        inventory.maps.retain(|_, map| map.counts.is_some() || !ran("maps"));
        inventory.programs.retain(|_, program| program.refs.is_some() || !ran("programs"));
        inventory.links.retain(|_, link| link.refs.is_some() || !ran("links"));
        self.own
    }
}
