//! In which container a process is, as the names of its cgroups tell: pure text, written by whoever made the cgroup.
//!
//! Runtimes name a cgroup after the id of its container, each in its own way, and differently when systemd makes it
//! (`docker-ID.scope`) and when they do (`/docker/ID`). Of containers within containers the innermost is told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Lines of a file, and parts of a path, that are looked at.
const LINES_MAX: usize = 256;
const PARTS_MAX: usize = 64;
/// Letters of a name.
const NAME_MAX: usize = 256;
/// Digits of an id that are shown, as runtimes do.
const ID_SHOWN: usize = 12;

/// Where a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its cgroup: the one that tells the container or, without one, that of version 2, or of systemd.
    pub cgroup: String,
    /// The container, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Container {
    /// Who made it: `docker`, `containerd`, `cri-o`, `podman`, `systemd-nspawn`, `lxc`; empty where only an id is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    /// Its id; of systemd-nspawn and lxc its name. Empty where it isn't known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What people call it, where the machine tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The pod of Kubernetes that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
}

/// A pod of Kubernetes, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pod {
    /// Its uid.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl fmt::Display for Container {
    /// `docker web`, `cri-o shop/cart-7d9/app`, `docker 0a1b2c3d4e5f`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runtime = if self.runtime.is_empty() { "container" } else { &self.runtime };
        let id: String = self.id.chars().take(if is_id(&self.id) { ID_SHOWN } else { NAME_MAX }).collect();
        let own = self.name.as_deref().unwrap_or(&id);
        let pod = self.pod.as_ref();
        let uid = pod.map(|pod| pod.uid.as_str()).filter(|uid| !uid.is_empty());
        let parts = match pod.and_then(|pod| pod.name.as_deref()) {
            Some(name) => vec![pod.and_then(|pod| pod.namespace.as_deref()).unwrap_or_default(), name, own],
            None if own.is_empty() => vec!["pod", uid.unwrap_or_default()],
            None => vec![own],
        };
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        write!(f, "{runtime} {}", parts.join("/"))
    }
}

impl Container {
    /// Gives it a name as kubelet made them for Docker and CRI-O: `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`; any other as it is.
    pub fn set_name(&mut self, name: &str) {
        let name = shortened(name.trim_start_matches('/'));
        let parts: Vec<&str> = name.split('_').collect();
        if let ["k8s", container, pod, namespace, uid, _] = parts[..] {
            self.set_pod(Some(pod), Some(namespace), Some(uid));
            self.name = Some(container.to_owned());
        } else if !name.is_empty() {
            self.name = Some(name);
        }
    }

    /// Adds what is known of its pod.
    pub fn set_pod(&mut self, name: Option<&str>, namespace: Option<&str>, uid: Option<&str>) {
        let known = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(shortened);
        if known(name).or(known(namespace)).or(known(uid)).is_none() {
            return;
        }
        let pod = self.pod.get_or_insert_default();
        pod.name = known(name).or_else(|| pod.name.take());
        pod.namespace = known(namespace).or_else(|| pod.namespace.take());
        if let Some(uid) = known(uid).filter(|_| pod.uid.is_empty()) {
            pod.uid = uid;
        }
    }
}

impl Place {
    /// Of the text of /proc/PID/cgroup: a number, controllers and a path on each line (cgroups(7)).
    pub fn of_cgroups(text: &str) -> Self {
        let line = |line| {
            let mut fields = str::splitn(line, 3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            // One that is removed is said to be.
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            let rank = match (number, controllers) {
                ("0", "") => 0,
                (_, "name=systemd") => 1,
                _ => 2,
            };
            Some((rank, path))
        };
        let mut paths: Vec<(u8, &str)> = text.lines().take(LINES_MAX).filter_map(line).collect();
        paths.sort_by_key(|(rank, _)| *rank);
        let told = paths.iter().find_map(|(_, path)| Some((*path, container(path)?)));
        let (cgroup, container) = match told {
            Some((path, container)) => (path, Some(container)),
            None => (paths.iter().map(|(_, path)| *path).find(|path| *path != "/").unwrap_or("/"), None),
        };
        Self { cgroup: cgroup.to_owned(), container }
    }
}

/// The container that a path of cgroups belongs to.
fn container(path: &str) -> Option<Container> {
    let mut found: Option<Container> = None;
    let mut pod: Option<Pod> = None;
    let mut before = "";
    for part in path.split('/').take(PARTS_MAX) {
        // containerd, told to name cgroups for systemd but to make them itself: `SLICE:cri-containerd:ID`.
        let (slice, part) = match part.split_once(":cri-containerd:") {
            Some((slice, id)) if is_id(id) => (slice, format!("cri-containerd-{id}")),
            _ => (part, part.to_owned()),
        };
        if let Some(uid) = pod_uid(slice) {
            pod = Some(Pod { uid, ..Pod::default() });
        }
        if let Some((runtime, id)) = named(&part, before) {
            found = Some(Container { runtime: runtime.to_owned(), id, name: None, pod: pod.take() });
        }
        before = slice;
    }
    // What is in the pod's own cgroup is in no container of it yet.
    found
}

/// The runtime and the id that the name of a cgroup tells.
fn named<'a>(part: &'a str, before: &str) -> Option<(&'a str, String)> {
    if let Some(name) = part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service")) {
        return Some(("systemd-nspawn", unescaped(name)));
    }
    if let Some(name) = part.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope")) {
        // Virtual machines of libvirt are no containers.
        return match unescaped(name) {
            name if name.starts_with("qemu-") => None,
            name => Some((if name.starts_with("lxc-") { "lxc" } else { "systemd-nspawn" }, name)),
        };
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(("lxc", shortened(name)));
    }
    if matches!(before, "lxc" | "lxc.payload") && !part.is_empty() {
        return Some(("lxc", shortened(part)));
    }
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    if is_id(stem) {
        return Some((if before == "docker" { "docker" } else { "" }, stem.to_owned()));
    }
    let (prefix, id) = stem.rsplit_once('-').filter(|(_, id)| is_id(id))?;
    let runtime = match prefix {
        "docker" => "docker",
        "cri-containerd" | "nerdctl" => "containerd",
        "crio" => "cri-o",
        "libpod" | "libpod-payload" => "podman",
        // Who watches a container is outside of it.
        _ if prefix.ends_with("-conmon") => return None,
        _ => "",
    };
    Some((runtime, id.to_owned()))
}

/// 64 digits, as all runtimes but systemd-nspawn and lxc have them.
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The uid of `podUID`, or of `kubepods-burstable-podUID.slice`, where systemd wants other dashes.
fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_prefix("kubepods") {
        Some(rest) => rest.strip_suffix(".slice")?.rsplit_once("-pod")?.1.replace('_', "-"),
        None => part.strip_prefix("pod")?.to_owned(),
    };
    // Pods that kubelet reads from files have a digest for uid.
    let plain = uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (plain && matches!(uid.len(), 32 | 36)).then_some(uid)
}

/// A name as systemd escapes it: `\x2d` for a dash.
fn unescaped(name: &str) -> String {
    let mut out = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.strip_prefix(b"x").and_then(|digits| std::str::from_utf8(digits.get(..2)?).ok());
        match digits.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    shortened(&String::from_utf8_lossy(&out))
}

fn shortened(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

/// The container of a process whose cgroup is hidden by a cgroup namespace, by what is mounted in it (the text of
/// /proc/PID/mountinfo): runtimes bring files such as /etc/hosts from a folder with the container's id.
pub fn of_mounts(text: &str) -> Option<Container> {
    let mut found: Option<Container> = None;
    for line in text.lines().take(4 * LINES_MAX) {
        let Some(root) = line.split(' ').nth(3) else { continue };
        let parts: Vec<&str> = root.split('/').take(PARTS_MAX).collect();
        for (index, window) in parts.windows(2).enumerate() {
            match window {
                ["containers", id] if is_id(id) && found.is_none() => {
                    found =
                        Some(Container { runtime: "docker".to_owned(), id: (*id).to_owned(), ..Container::default() });
                }
                // CRI-O has files of the pod there.
                ["overlay-containers", id] if is_id(id) && found.is_none() && line.contains(" /run/.containerenv ") => {
                    found =
                        Some(Container { runtime: "podman".to_owned(), id: (*id).to_owned(), ..Container::default() });
                }
                // pods/UID/etc-hosts, pods/UID/containers/NAME/DIGEST
                ["pods", uid] if pod_uid(&format!("pod{uid}")).is_some() => {
                    let container = found.get_or_insert_default();
                    container.set_pod(None, None, Some(uid));
                    if let Some(["containers", name, ..]) = parts.get(index + 2..) {
                        container.name = Some(shortened(name));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
    const UID: &str = "8a3f2c1e-77aa-4b5c-9d00-0123456789ab";

    fn told(path: &str) -> Option<(String, String, String)> {
        let found = container(&path.replace("ID", ID).replace("UID", UID))?;
        Some((
            found.runtime,
            found.id.replace(ID, "ID"),
            found.pod.map(|pod| pod.uid.replace(UID, "UID")).unwrap_or_default(),
        ))
    }

    #[test]
    fn each_runtime_is_told_by_its_names() {
        let slice = UID.replace('-', "_");
        let burstable = format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice");
        let pod = |rest: &str| format!("{burstable}/{rest}");
        for (path, runtime, id, uid) in [
            ("/docker/ID".to_owned(), "docker", "ID", ""),
            ("/docker/ID/init.scope".to_owned(), "docker", "ID", ""),
            ("/system.slice/docker-ID.scope".to_owned(), "docker", "ID", ""),
            ("/system.slice/nerdctl-ID.scope".to_owned(), "containerd", "ID", ""),
            ("/kubepods/besteffort/podUID/ID".replace("UID", UID), "", "ID", "UID"),
            (format!("/kubepods/pod{}/ID", "0".repeat(32)), "", "ID", "00000000000000000000000000000000"),
            (pod("cri-containerd-ID.scope"), "containerd", "ID", "UID"),
            (pod("crio-ID.scope"), "cri-o", "ID", "UID"),
            (pod("docker-ID.scope"), "docker", "ID", "UID"),
            ("/kubepods/burstable/podUID/crio-ID".replace("UID", UID), "cri-o", "ID", "UID"),
            (
                format!("/system.slice/containerd.service/kubepods-pod{slice}.slice:cri-containerd:ID"),
                "containerd",
                "ID",
                "UID",
            ),
            ("/machine.slice/libpod-ID.scope/container".to_owned(), "podman", "ID", ""),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope".to_owned(), "podman", "ID", ""),
            ("/machine.slice/systemd-nspawn@my\\x2dbox.service/payload".to_owned(), "systemd-nspawn", "my-box", ""),
            ("/machine.slice/machine-box.scope".to_owned(), "systemd-nspawn", "box", ""),
            ("/lxc/box".to_owned(), "lxc", "box", ""),
            ("/lxc.payload.box/system.slice/x.service".to_owned(), "lxc", "box", ""),
            // Seen from within a cgroup namespace beside it.
            ("/../docker-ID.scope".to_owned(), "docker", "ID", ""),
            ("/../ID".to_owned(), "", "ID", ""),
            // A cluster in a container: the inner one.
            (
                format!("/docker/{}/kubelet{burstable}/cri-containerd-ID.scope", "f".repeat(64)),
                "containerd",
                "ID",
                "UID",
            ),
        ] {
            let expected = Some((runtime.to_owned(), id.to_owned(), uid.to_owned()));
            assert_eq!(told(&path), expected, "{path}");
        }
        for path in [
            "/",
            "",
            "/user.slice/user-1000.slice/session-3.scope",
            "/system.slice/docker.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
            "/kubepods/besteffort/podUID",
            "/lxc.monitor.box",
            "/docker/short",
            "/docker-IDID.scope",
        ] {
            assert_eq!(told(path), None, "{path}");
        }
    }

    #[test]
    fn the_line_that_tells_most_is_taken() {
        let both = format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/containerd.service\n");
        assert_eq!(Place::of_cgroups(&both).cgroup, format!("/docker/{ID}"));
        let gone = format!("0::/system.slice/docker-{ID}.scope (deleted)\n");
        assert_eq!(Place::of_cgroups(&gone).container.map(|found| found.id).as_deref(), Some(ID));
        let none = "4:memory:/other\n1:name=systemd:/user.slice\n0::/\n";
        assert_eq!(Place::of_cgroups(none), Place { cgroup: "/user.slice".to_owned(), container: None });
        // A path may hold colons, and anything else.
        assert_eq!(Place::of_cgroups("0::/a:b\u{1b}").cgroup, "/a:b\u{1b}");
        for odd in ["", "\n\n", "0", "0:", "::", ":\0:\n"] {
            assert_eq!(Place::of_cgroups(odd).container, None, "{odd:?}");
        }
    }

    #[test]
    fn mounts_tell_where_cgroups_do_not() {
        let docker = format!("800 700 8:1 /var/lib/docker/containers/{ID}/hosts /etc/hosts rw - ext4 /dev/sda rw\n");
        let found = of_mounts(&docker).expect("a container");
        assert_eq!((&*found.runtime, &*found.id), ("docker", ID));
        let pod = format!(
            "1 2 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 x rw\n\
             3 2 8:1 /var/lib/kubelet/pods/{UID}/containers/app/9f3c /dev/termination-log rw - ext4 x rw\n"
        );
        let found = of_mounts(&pod).expect("a container");
        assert_eq!((found.name.as_deref(), found.pod.map(|pod| pod.uid).as_deref()), (Some("app"), Some(UID)));
        assert_eq!(of_mounts("1 2 8:1 / / rw - ext4 x rw\n\nx y"), None);
    }

    #[test]
    fn a_container_in_words() {
        let mut container = Container { runtime: "docker".to_owned(), id: ID.to_owned(), ..Container::default() };
        assert_eq!(container.to_string(), "docker 0a1b2c3d4e5f");
        container.set_name("/web");
        assert_eq!(container.to_string(), "docker web");
        container.set_name(&format!("/k8s_app_cart-7d9_shop_{UID}_0"));
        assert_eq!(container.to_string(), "docker shop/cart-7d9/app");
        let pod = Some(Pod { uid: UID.to_owned(), ..Pod::default() });
        assert_eq!(Container { pod, ..Container::default() }.to_string(), format!("container pod/{UID}"));
    }
}
