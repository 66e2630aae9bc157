//! Where programs are attached: names of devices and cgroups for links, and programs attached without a link.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use residue_fd::objects::{Attachment, Hold, Holder, Inventory, ObjectId, Point};

use super::network;

/// Cgroups that are looked at.
const CGROUPS_MAX: usize = 1 << 16;

/// Adds what can be found.
pub(super) fn read(inventory: &mut Inventory) {
    let mut network = network::read(inventory);
    inventory.hidden.append(&mut network.hidden);
    let devices = if network.own.is_empty() { network::devices() } else { network.own };
    let cgroups = cgroups();
    for link in inventory.links.values_mut() {
        let number = |key: &str| {
            let (_, value) = link.point.place.iter().find(|(found, _)| *found == key)?;
            value.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse::<u64>().ok()
        };
        let device = number("ifindex").and_then(|index| devices.get(&index));
        let cgroup = number("cgroup_id").and_then(|id| cgroups.get(&id));
        if let Some(place) = network.links.get(&link.id) {
            place.add_to(&mut link.point);
        } else if let Some(device) = device {
            // Devices of other network namespaces may have the same number.
            link.point.place.insert(0, ("interface", device.clone()));
        }
        if let Some(cgroup) = cgroup {
            link.point.place.insert(0, ("cgroup", cgroup.display().to_string()));
        }
    }
    let mut attachments = Vec::new();
    let mut unasked = network.unasked;
    of_cgroups(&cgroups, &mut attachments, &mut unasked);
    if unasked {
        let what = "what is attached without a link to cgroups, network namespaces, and devices by tcx or netkit";
        inventory.hidden.push(format!("{what}: it takes CAP_NET_ADMIN to ask"));
    }
    // What a link attaches is told with the link.
    let by_link = |attachment: &Attachment| {
        let id = attachment.point.place.iter().find(|(key, _)| *key == "cgroup_id");
        inventory.links.values().any(|link| {
            link.program == attachment.program
                && link.point.attach_type == attachment.point.attach_type
                && link.point.place.iter().any(|place| Some(place) == id)
        })
    };
    attachments.retain(|attachment| !by_link(attachment));
    attachments.append(&mut network.attachments);
    for (index, attachment) in attachments.iter().enumerate() {
        let object = ObjectId::program(attachment.program);
        inventory.holds.push(Hold { object, by: Holder::Attachment(index) });
    }
    inventory.attachments = attachments;
}

/// Cgroups by their id, which is the number of their inode: `kernfs_ino`, include/linux/kernfs.h.
fn cgroups() -> BTreeMap<u64, PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut next: Vec<PathBuf> = text
        .lines()
        .filter(|line| line.contains(" - cgroup2 "))
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect();
    let mut found = BTreeMap::new();
    while let Some(path) = next.pop() {
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if found.len() == CGROUPS_MAX || found.insert(metadata.ino(), path.clone()).is_some() {
            continue;
        }
        let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
        next.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
    found
}

/// `enum bpf_attach_type`: those of cgroups.
const OF_CGROUPS: [u32; 29] =
    [0, 1, 2, 3, 6, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 29, 30, 31, 32, 34, 43, 49, 50, 51, 52, 53];

/// Programs attached to cgroups by `BPF_PROG_ATTACH`. Those of links are told with the links.
fn of_cgroups(cgroups: &BTreeMap<u64, PathBuf>, attachments: &mut Vec<Attachment>, unasked: &mut bool) {
    for (id, path) in cgroups {
        let Ok(cgroup) = std::fs::File::open(path) else { continue };
        for attach_type in OF_CGROUPS {
            let target = std::os::fd::AsRawFd::as_raw_fd(&cgroup.as_fd()).cast_unsigned();
            for (program, _) in network::attached(target, attach_type, unasked) {
                let mut point = Point { attach_type: Some(attach_type), ..Point::default() };
                point.add("cgroup", shown(path));
                point.add("cgroup_id", id.to_string());
                attachments.push(Attachment { program, how: "cgroup", point });
            }
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
