//! Programs attached to network devices: by netlink (XDP, filters and actions of tc), by tcx, netkit and the flow dissector
//! without a link; in every network namespace that can be entered. Where links have their device is found out along the way,
//! which bpf(2) doesn't tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use residue_fd::objects::{Attachment, Inventory, LINK_TYPE_NETNS, LINK_TYPE_XDP, Method, Point};

use super::processes;
use super::tc::{self, Filter};
use crate::sys;

/// Namespaces, and devices, queues and classes of one, that are looked at.
const NAMESPACES_MAX: usize = 1 << 14;
const DEVICES_MAX: usize = 1 << 16;
const PARENTS_MAX: usize = 1 << 14;
/// Ways into one namespace that are remembered: a process may end before it comes to it.
const WAYS_MAX: usize = 4;

/// `enum bpf_attach_type`: of network namespaces, and of devices by tcx and netkit.
const OF_NAMESPACES: [u32; 2] = [17, 36];
const OF_DEVICES: [u32; 4] = [TCX[0], TCX[1], 54, 55];
const TCX: [u32; 2] = [46, 47];

/// `enum bpf_prog_type`: classifiers, actions, XDP, flow dissectors, socket look-ups.
const OF_PROGRAMS: [u32; 5] = [3, 4, 6, 22, 30];

/// Where a link has its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    namespace: Vec<(&'static str, String)>,
    interface: String,
}

impl Place {
    /// Adds it to what the link says.
    pub(super) fn add_to(&self, point: &mut Point) {
        if !self.interface.is_empty() {
            point.place.insert(0, ("interface", self.interface.clone()));
        }
        for (key, value) in &self.namespace {
            if !point.place.iter().any(|(known, _)| known == key) {
                point.add(key, value.clone());
            }
        }
    }
}

/// What was seen of devices.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Programs attached without a link.
    pub(super) attachments: Vec<Attachment>,
    /// Places of links, by their ids.
    pub(super) links: BTreeMap<u32, Place>,
    /// Devices of this namespace by their indices, for links that no namespace has told of.
    pub(super) own: BTreeMap<u64, String>,
    pub(super) hidden: Vec<String>,
    /// The kernel may not be asked what is attached where.
    pub(super) unasked: bool,
}

/// A network namespace, and by what it can be entered.
struct Namespace {
    inode: u64,
    /// Files that stood for it; this process's own is not entered, and has none.
    ways: Vec<PathBuf>,
    /// Its name below /run/netns.
    name: Option<String>,
}

impl Namespace {
    fn is_own(&self) -> bool {
        self.ways.is_empty()
    }

    fn place(&self) -> Vec<(&'static str, String)> {
        if self.is_own() {
            return Vec::new();
        }
        let mut place = vec![("netns", self.inode.to_string())];
        place.extend(self.name.clone().map(|name| ("netns_name", name)));
        place
    }
}

/// Looks into all namespaces, if there is a program that could be attached in one.
pub(super) fn read(inventory: &Inventory) -> Network {
    let mut programs = inventory.programs.values();
    if inventory.method != Method::Fdinfo && !programs.any(|program| OF_PROGRAMS.contains(&program.program_type)) {
        return Network::default();
    }
    let mut network = Network::default();
    let namespaces = namespaces(&mut network.hidden);
    let mut refused: Option<(usize, io::Error)> = None;
    let mut look = || {
        for namespace in &namespaces {
            let looked = match enter(namespace) {
                Ok(true) => visit(namespace, inventory, &mut network),
                // It has gone.
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                let (count, _) = refused.get_or_insert((0, error));
                *count += 1;
            }
        }
    };
    let unspawned = std::thread::scope(|scope| {
        // A thread can't go back to where it was if it may not enter that either: it ends instead.
        std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, &mut look).err()
    });
    if let Some(error) = unspawned {
        refused = Some((namespaces.len(), error));
    }
    if let Some((count, error)) = refused {
        let takes = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => "; it takes CAP_SYS_ADMIN to enter them",
            _ => "",
        };
        network.hidden.push(format!("what is attached in {count} network namespaces: {error}{takes}"));
    }
    by_links(inventory, &mut network);
    network
}

/// The namespaces of all processes, and those that have a name; this one's first.
fn namespaces(hidden: &mut Vec<String>) -> Vec<Namespace> {
    let own = std::fs::metadata("/proc/self/ns/net").ok();
    let device = own.as_ref().map(MetadataExt::dev);
    let own = own.map_or(0, |metadata| metadata.ino());
    let mut found = vec![Namespace { inode: own, ways: Vec::new(), name: None }];
    let mut seen = BTreeMap::from([(own, 0)]);
    let named = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let named = named.map(|entry| (entry.path(), Some(entry.file_name().to_string_lossy().into_owned())));
    let processes = processes::pids().into_iter().map(|pid| (PathBuf::from(format!("/proc/{pid}/ns/net")), None));
    let (mut refused, mut left_out) = (0, false);
    for (path, name) in named.chain(processes) {
        let inode = match std::fs::metadata(&path) {
            Ok(metadata) if Some(metadata.dev()) == device => metadata.ino(),
            // It may have ended.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refused += 1;
                continue;
            }
            _ => continue,
        };
        if let Some(namespace) = seen.get(&inode).and_then(|index: &usize| found.get_mut(*index)) {
            if inode != own && namespace.ways.len() < WAYS_MAX {
                namespace.ways.push(path);
            }
        } else if found.len() < NAMESPACES_MAX {
            seen.insert(inode, found.len());
            found.push(Namespace { inode, ways: vec![path], name });
        } else {
            left_out = true;
        }
    }
    if left_out {
        hidden.push(format!("there are more than {NAMESPACES_MAX} network namespaces; the rest is left out"));
    }
    if refused > 0 {
        let whose = if refused == 1 { "1 process".to_owned() } else { format!("{refused} processes") };
        hidden.push(format!(
            "what is attached in the network namespaces of {whose}, unless others are in them too: it takes CAP_SYS_PTRACE, and \
             no security module that forbids it, to look"
        ));
    }
    found
}

/// As [`sys::attached`]; what the kernel doesn't know, or isn't there, has nothing attached. Whether it may not be asked is told.
pub(super) fn attached(target: u32, attach_type: u32, unasked: &mut bool) -> Vec<(u32, u32)> {
    sys::attached(target, attach_type).unwrap_or_else(|error| {
        *unasked |= error.raw_os_error() == Some(libc::EPERM);
        Vec::new()
    })
}

/// Moves this thread into a namespace; `false` if there is no way into it any more.
fn enter(namespace: &Namespace) -> io::Result<bool> {
    let mut refused = None;
    for way in &namespace.ways {
        // Its process may have ended, and another one have got the number.
        let opened = File::open(way).and_then(|file| Ok((file.metadata()?.ino(), file)));
        match opened {
            Ok((inode, file)) if inode == namespace.inode => match sys::enter_network(file.as_fd()) {
                Ok(()) => return Ok(true),
                Err(error) => refused = Some(error),
            },
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(namespace.is_own()), Err)
}

/// Looks around in the namespace that this thread is in.
fn visit(namespace: &Namespace, inventory: &Inventory, network: &mut Network) -> io::Result<()> {
    let place = namespace.place();
    let within = |what: &str| match &namespace.name {
        _ if place.is_empty() => what.to_owned(),
        Some(name) => format!("{what} of network namespace {name}"),
        None => format!("{what} of network namespace {}", namespace.inode),
    };
    let mut route = super::netlink::Route::open()?;
    let mut devices = route.dump(tc::GET_LINKS, &tc::links_question(), tc::device)?;
    if devices.len() > DEVICES_MAX {
        network.hidden.push(within(&format!("devices after the first {DEVICES_MAX}")));
        devices.truncate(DEVICES_MAX);
    }
    let names: BTreeMap<u32, &str> = devices.iter().map(|device| (device.index, device.name.as_str())).collect();
    let point = |index: u32, attach_type: Option<u32>| {
        let mut point = Point { attach_type, ..Point::default() };
        point.add("interface", names.get(&index).copied().unwrap_or_default());
        point.add("ifindex", index.to_string());
        point
    };
    let attach = |program, how, mut point: Point, attachments: &mut Vec<Attachment>| {
        point.place.extend(place.iter().cloned());
        attachments.push(Attachment { program, how, point });
    };
    for device in &devices {
        for (mode, program) in &device.xdp {
            let mut point = point(device.index, None);
            point.add("mode", mode.name());
            attach(*program, "xdp", point, &mut network.attachments);
        }
        for attach_type in OF_DEVICES {
            // Kernels before 6.6 know none of them, and other devices no netkit.
            for (program, link) in attached(device.index, attach_type, &mut network.unasked) {
                if link == 0 {
                    let how = if TCX.contains(&attach_type) { "tcx" } else { "netkit" };
                    attach(program, how, point(device.index, Some(attach_type)), &mut network.attachments);
                } else {
                    let interface = device.name.clone();
                    network.links.insert(link, Place { namespace: place.clone(), interface });
                }
            }
        }
    }
    let classifiers = inventory.programs.values().any(|program| matches!(program.program_type, 3 | 4));
    if classifiers || inventory.method == Method::Fdinfo {
        match traffic_control(&mut route, &names) {
            Ok((filters, actions, cut)) => {
                for filter in filters {
                    let mut point = point(filter.device, None);
                    point.place.extend(filter.place());
                    attach(filter.program, "tc", point, &mut network.attachments);
                }
                for action in actions {
                    let mut point = Point::default();
                    point.add("index", action.index.to_string());
                    point.place.extend(action.name.map(|name| ("name", name)));
                    attach(action.program, "tc action", point, &mut network.attachments);
                }
                if cut {
                    network.hidden.push(within("some queues and classes, and filters of them,"));
                }
            }
            Err(error) => network.hidden.push(format!("{}: {error}", within("filters of tc"))),
        }
    }
    let Ok(file) = File::open("/proc/thread-self/ns/net") else { return Ok(()) };
    for attach_type in OF_NAMESPACES {
        for (program, _) in attached(file.as_raw_fd().cast_unsigned(), attach_type, &mut network.unasked) {
            let mut point = Point { attach_type: Some(attach_type), ..Point::default() };
            point.add("netns", namespace.inode.to_string());
            point.place.extend(namespace.name.clone().map(|name| ("netns_name", name)));
            network.attachments.push(Attachment { program, how: "netns", point });
        }
    }
    if namespace.is_own() {
        network.own = names.iter().map(|(index, name)| (u64::from(*index), (*name).to_owned())).collect();
    }
    Ok(())
}

/// Filters and actions that run programs; whether there are too many places where filters could be.
fn traffic_control(
    route: &mut super::netlink::Route,
    names: &BTreeMap<u32, &str>,
) -> io::Result<(Vec<Filter>, Vec<tc::Action>, bool)> {
    let queues = route.dump(tc::GET_QUEUES, &tc::queues_question(), tc::queue)?;
    let mut parents: BTreeSet<(u32, u32)> =
        queues.iter().flat_map(|queue| queue.parents().into_iter().map(|parent| (queue.device, parent))).collect();
    // What has classes may have filters in each.
    let classful: BTreeSet<u32> = queues.iter().filter(|queue| queue.is_classful()).map(|queue| queue.device).collect();
    for device in classful {
        // It may have gone.
        let classes = route.dump(tc::GET_CLASSES, &tc::place_question(device, 0), tc::class).unwrap_or_default();
        parents.extend(classes.into_iter().map(|class| (device, class)));
        if parents.len() > PARENTS_MAX {
            break;
        }
    }
    let mut filters = Vec::new();
    let mut shared = BTreeSet::new();
    for (device, parent) in parents.iter().take(PARENTS_MAX).filter(|(device, _)| names.contains_key(device)) {
        let read = |body: &[u8]| tc::filter(body, *device);
        let Ok(found) = route.dump(tc::GET_FILTERS, &tc::place_question(*device, *parent), read) else { continue };
        // A block that several devices share is told with each of them.
        filters.extend(found.into_iter().filter(|filter| filter.block_key().is_none_or(|key| shared.insert(key))));
    }
    let actions = route.dump(tc::GET_ACTIONS, &tc::actions_question(), |body| Some(tc::actions(body)));
    // A kernel without actions has no such message.
    let actions = actions.unwrap_or_default().into_iter().flatten().collect();
    Ok((filters, actions, parents.len() > PARENTS_MAX))
}

/// Leaves out what links attach, which is told with these, and learns from it where they are.
fn by_links(inventory: &Inventory, network: &mut Network) {
    let value = |point: &Point, key: &str| {
        point.place.iter().find(|(found, _)| *found == key).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut links: BTreeMap<(&str, u32, String), Vec<u32>> = BTreeMap::new();
    for link in inventory.links.values().filter(|link| !link.point.gone) {
        let key = match link.link_type {
            LINK_TYPE_XDP => ("xdp", link.program, value(&link.point, "ifindex")),
            LINK_TYPE_NETNS => ("netns", link.program, value(&link.point, "netns")),
            _ => continue,
        };
        links.entry(key).or_default().push(link.id);
    }
    let key = |attachment: &Attachment| {
        let by = if attachment.how == "xdp" { "ifindex" } else { "netns" };
        (attachment.how, attachment.program, value(&attachment.point, by))
    };
    let mut same: BTreeMap<(&str, u32, String), usize> = BTreeMap::new();
    for attachment in &network.attachments {
        *same.entry(key(attachment)).or_default() += 1;
    }
    let attachments = std::mem::take(&mut network.attachments);
    for attachment in attachments {
        let key = key(&attachment);
        let Some(link) = links.get_mut(&key).and_then(Vec::pop) else {
            network.attachments.push(attachment);
            continue;
        };
        // The same program on devices of the same number in several namespaces: which one is the link's is not told.
        if same.get(&key).copied().unwrap_or(0) > 1 {
            continue;
        }
        let wanted = |key: &str| matches!(key, "netns" | "netns_name" | "mode");
        let namespace = attachment.point.place.iter().filter(|(key, _)| wanted(key)).cloned().collect();
        let interface = value(&attachment.point, "interface");
        network.links.insert(link, Place { namespace, interface });
    }
}

/// Names of the network devices of this namespace by their index, where the kernel can't be asked by netlink.
pub(super) fn devices() -> BTreeMap<u64, String> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let device = |entry: std::fs::DirEntry| {
        let index = std::fs::read_to_string(entry.path().join("ifindex")).ok()?.trim().parse().ok()?;
        Some((index, entry.file_name().to_string_lossy().into_owned()))
    };
    entries.filter_map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_leads_elsewhere_is_not_taken() {
        let own = std::fs::metadata("/proc/self/ns/net").expect("it is there").ino();
        let enter = |inode, ways: &[&str]| {
            let ways = ways.iter().map(PathBuf::from).collect();
            enter(&Namespace { inode, ways, name: None }).map_err(|error| error.kind())
        };
        assert_eq!(enter(own, &[]), Ok(true), "this one's own");
        assert_eq!(enter(own + 1, &["/proc/4294967295/ns/net"]), Ok(false), "its process has ended");
        assert_eq!(enter(own + 1, &["/proc/self/ns/net"]), Ok(false), "another process has its number");
        // No namespace of the network: it is refused, whoever asks.
        let user = std::fs::metadata("/proc/self/ns/user").expect("it is there").ino();
        assert!(enter(user, &["/proc/4294967295/ns/net", "/proc/self/ns/user"]).is_err());
    }

    #[test]
    fn namespaces_are_told_once_with_their_ways() {
        let found = namespaces(&mut Vec::new());
        let inodes: BTreeSet<u64> = found.iter().map(|namespace| namespace.inode).collect();
        assert_eq!(inodes.len(), found.len());
        assert!(found[0].is_own() && found[1..].iter().all(|one| !one.is_own() && one.ways.len() <= WAYS_MAX));
    }
}
