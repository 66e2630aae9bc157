//! In which containers processes are: /proc/PID/cgroup, and names from the files that runtimes keep. No daemon is asked.
//!
//! Those files are read only where nobody but root could have written them or a folder above, and as far as a limit; what is
//! missing or odd gives no name.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residue_fd::container::{self, Container, Place};
use residue_fd::event::{Event, Placed};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Bytes that are read of a file of /proc, of what is known of one container, and of a list of all.
const PROC_MAX: u64 = 1 << 20;
const ONE_MAX: u64 = 4 << 20;
const LIST_MAX: u64 = 32 << 20;
/// Cgroups, and processes, that are remembered.
const CGROUPS_MAX: usize = 1 << 14;
const PROCESSES_MAX: usize = 1 << 17;
/// Namespaces of containerd that are looked into.
const NAMESPACES_MAX: usize = 64;

/// The inode of the first cgroup namespace: `PROC_CGROUP_INIT_INO`, `include/linux/proc_ns.h`.
const FIRST_NAMESPACE: u64 = 0xefff_fffb;

/// Folders and files, below the root.
const DOCKER: &str = "var/lib/docker/containers";
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
const STORAGE: [&str; 3] = [
    "var/lib/containers/storage/overlay-containers/containers.json",
    "var/lib/containers/storage/overlay-containers/volatile-containers.json",
    "run/containers/storage/overlay-containers/volatile-containers.json",
];

/// Finds out about containers, and remembers what it found.
#[derive(Debug)]
pub struct Containers {
    root: PathBuf,
    /// Who has to own what is read.
    owner: u32,
    /// This process sees cgroups from within a cgroup namespace: its own container's cgroup is `/` then.
    within: bool,
    /// Places by the text of /proc/PID/cgroup.
    known: BTreeMap<String, Arc<Place>>,
    /// Of each list of all containers what was read last.
    lists: BTreeMap<&'static str, List>,
}

/// Names of containers by their ids, and by what it is seen that the file is another one since: its device, number, length,
/// and when it was changed.
#[derive(Debug)]
struct List {
    file: (u64, u64, u64, i64, i64),
    names: BTreeMap<String, String>,
}

impl Default for Containers {
    fn default() -> Self {
        let namespace = std::fs::metadata("/proc/self/ns/cgroup").map_or(FIRST_NAMESPACE, |metadata| metadata.ino());
        Self {
            root: PathBuf::from("/"),
            owner: 0,
            within: namespace != FIRST_NAMESPACE,
            known: BTreeMap::new(),
            lists: BTreeMap::new(),
        }
    }
}

impl Containers {
    /// Where a process is; nothing if it has gone.
    pub fn of(&mut self, pid: u32) -> Option<Arc<Place>> {
        let text = read(Path::new(&format!("/proc/{pid}/cgroup")), PROC_MAX)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Some(place) = self.known.get(&text) {
            return Some(place.clone());
        }
        let mut place = Place::of_cgroups(&text);
        if place.container.is_none() && self.within {
            // Each process has mounts of its own: the text of its cgroups doesn't tell it from others.
            let mounts = read(Path::new(&format!("/proc/{pid}/mountinfo")), PROC_MAX).unwrap_or_default();
            place.container = container::of_mounts(&String::from_utf8_lossy(&mounts));
            if let Some(container) = &mut place.container {
                self.name(container);
            }
            return Some(Arc::new(place));
        }
        if let Some(container) = &mut place.container {
            self.name(container);
        }
        if self.known.len() >= CGROUPS_MAX {
            self.known.clear();
        }
        let place = Arc::new(place);
        self.known.insert(text, place.clone());
        Some(place)
    }

    /// Adds what the machine tells of a container.
    fn name(&mut self, container: &mut Container) {
        // An id is nothing but digits, so that no path is made of anything else.
        if !container::is_id(&container.id) {
            return;
        }
        let runtime = container.runtime.clone();
        let told = match &*runtime {
            "docker" => self.docker(container).map(|()| "docker"),
            "containerd" => self.containerd(container).map(|()| "containerd"),
            "cri-o" | "podman" => self.storage(container).map(|()| &*runtime),
            // Who made it is told by who knows it. CRI-O and podman share their list, and only the former has pods of Kubernetes.
            _ if self.containerd(container).is_some() => Some("containerd"),
            _ if self.docker(container).is_some() => Some("docker"),
            _ => self.storage(container).map(|()| if container.pod.is_some() { "cri-o" } else { "podman" }),
        };
        if let Some(told) = told {
            told.clone_into(&mut container.runtime);
        }
    }

    fn docker(&self, container: &mut Container) -> Option<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Known {
            name: Option<String>,
            config: Option<Config>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            labels: Option<BTreeMap<String, String>>,
        }
        let known: Known = self.json(&format!("{DOCKER}/{}/config.v2.json", container.id), ONE_MAX)?;
        container.set_name(&known.name?);
        let labels = known.config.and_then(|config| config.labels).unwrap_or_default();
        let label = |key: &str| labels.get(key).map(String::as_str);
        if let Some(name) = label("io.kubernetes.container.name") {
            container.set_name(name);
        }
        container.set_pod(
            label("io.kubernetes.pod.name"),
            label("io.kubernetes.pod.namespace"),
            label("io.kubernetes.pod.uid"),
        );
        Some(())
    }

    fn containerd(&self, container: &mut Container) -> Option<()> {
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            annotations: BTreeMap<String, String>,
        }
        let namespaces = std::fs::read_dir(self.root.join(CONTAINERD)).ok()?.flatten().take(NAMESPACES_MAX);
        let mut namespaces: Vec<String> =
            namespaces.filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
        namespaces.sort_unstable();
        let file = |namespace: &String| format!("{CONTAINERD}/{namespace}/{}/config.json", container.id);
        // What is Docker's own it names itself.
        let known = namespaces.iter().filter(|namespace| *namespace != "moby");
        let known: Known = known.map(file).find_map(|path| self.json(&path, ONE_MAX))?;
        let note = |key: &str| known.annotations.get(key).map(String::as_str);
        if let Some(name) = note("io.kubernetes.cri.container-name").or_else(|| note("nerdctl/name")) {
            container.set_name(name);
        }
        container.set_pod(
            note("io.kubernetes.cri.sandbox-name"),
            note("io.kubernetes.cri.sandbox-namespace"),
            note("io.kubernetes.cri.sandbox-uid"),
        );
        Some(())
    }

    fn storage(&mut self, container: &mut Container) -> Option<()> {
        let name = STORAGE.iter().find_map(|path| self.list(path)?.get(&container.id).cloned())?;
        container.set_name(&name);
        Some(())
    }

    /// A list of all containers; one that was read before isn't read again for each of them.
    fn list(&mut self, path: &'static str) -> Option<&BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Known {
            id: String,
            names: Option<Vec<String>>,
        }
        let (file, metadata) = self.trusted(path, LIST_MAX)?;
        let stamp = (metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec());
        if self.lists.get(path).is_none_or(|list| list.file != stamp) {
            let all: Vec<Known> = serde_json::from_slice(&bytes(file, LIST_MAX)?).ok()?;
            let named = |known: Known| Some((known.id, known.names?.into_iter().next()?));
            self.lists.insert(path, List { file: stamp, names: all.into_iter().filter_map(named).collect() });
        }
        self.lists.get(path).map(|list| &list.names)
    }

    fn json<T: DeserializeOwned>(&self, path: &str, max: u64) -> Option<T> {
        let (file, _) = self.trusted(path, max)?;
        serde_json::from_slice(&bytes(file, max)?).ok()
    }

    /// A file that nobody but the owner can have written, nor any folder that it is in.
    fn trusted(&self, path: &str, max: u64) -> Option<(File, Metadata)> {
        // Folders may be moved elsewhere by links, which are somebody's too.
        let root = self.root.canonicalize().ok()?;
        let path = self.root.join(path).canonicalize().ok()?;
        let inside = path.strip_prefix(&root).ok()?;
        let mut at = root.clone();
        for part in inside.parent()?.components() {
            at.push(part);
            let metadata = std::fs::symlink_metadata(&at).ok()?;
            if !metadata.is_dir() || metadata.uid() != self.owner || metadata.mode() & 0o022 != 0 {
                return None;
            }
        }
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.uid() != self.owner || metadata.mode() & 0o022 != 0 || metadata.len() > max {
            return None;
        }
        Some((file, metadata))
    }
}

fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    bytes(File::open(path).ok()?, max)
}

fn bytes(file: File, max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What was told of processes: each place once.
#[derive(Debug, Default)]
pub(crate) struct Told {
    containers: Containers,
    places: BTreeMap<u32, Arc<Place>>,
}

impl Told {
    /// Tells where a process is, if that is new.
    pub(crate) fn look(&mut self, pid: u32, out: &mut Vec<Event>) {
        let Some(place) = self.containers.of(pid) else { return };
        if self.places.len() >= PROCESSES_MAX {
            self.places.clear();
        }
        if self.places.insert(pid, place.clone()).as_ref() != Some(&place) {
            out.push(Event::Placed(Placed { pid, place: (*place).clone() }));
        }
    }

    /// As [`Told::look`], of one of which nothing was told.
    pub(crate) fn look_once(&mut self, pid: u32, out: &mut Vec<Event>) {
        if !self.places.contains_key(&pid) {
            self.look(pid, out);
        }
    }

    /// A child is where its parent is; nothing need be told for that.
    pub(crate) fn forked(&mut self, parent: u32, pid: u32, out: &mut Vec<Event>) {
        self.look_once(parent, out);
        // Whoever had the number before may have been somewhere else.
        match self.places.get(&parent).cloned() {
            Some(place) => self.places.insert(pid, place),
            None => self.places.remove(&pid),
        };
    }

    pub(crate) fn exited(&mut self, pid: u32) {
        self.places.remove(&pid);
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

    /// A machine below a folder.
    struct Machine(PathBuf);

    impl Machine {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("residue-containers-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&root).expect("a folder");
            Self(root)
        }

        fn write(&self, path: &str, text: &str) -> PathBuf {
            let path = self.0.join(path.replace("ID", ID));
            let folder = path.parent().expect("a folder");
            std::fs::create_dir_all(folder).expect("a folder");
            // Whatever the umask is.
            for folder in folder.ancestors().take_while(|folder| **folder != self.0) {
                std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("it is ours");
            }
            std::fs::write(&path, text).expect("it is written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("it is ours");
            path
        }

        fn containers(&self) -> Containers {
            let owner = std::fs::metadata(&self.0).expect("it is there").uid();
            Containers { root: self.0.clone(), owner, within: false, known: BTreeMap::new(), lists: BTreeMap::new() }
        }

        fn name(&self, runtime: &str) -> (String, Container) {
            let mut container = Container { runtime: runtime.to_owned(), id: ID.to_owned(), ..Container::default() };
            self.containers().name(&mut container);
            (container.to_string(), container)
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn each_runtime_has_its_files() {
        let machine = Machine::new("files");
        let short = "0a1b2c3d4e5f";
        for runtime in ["docker", "containerd", "cri-o", "podman"] {
            assert_eq!(machine.name(runtime).0, format!("{runtime} {short}"), "nothing is there yet");
        }
        machine.write(
            "var/lib/docker/containers/ID/config.v2.json",
            r#"{"ID":"x","Name":"/web","Config":{"Env":["SECRET=1"],"Labels":{"a":"b"}},"State":{"Pid":1}}"#,
        );
        assert_eq!(machine.name("docker").0, "docker web");
        let annotations = r#"{"ociVersion":"1.0.2","annotations":{"io.kubernetes.cri.container-name":"app",
            "io.kubernetes.cri.sandbox-name":"cart-7d9","io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
        machine.write("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", annotations);
        assert_eq!(machine.name("containerd").0, "containerd shop/cart-7d9/app");
        // Who made it is told by who knows it.
        assert_eq!(machine.name("").0, "containerd shop/cart-7d9/app");
        let list = format!(r#"[{{"id":"other","names":["no"]}},{{"id":"{ID}","names":["db","alias"],"layer":"x"}}]"#);
        machine.write("var/lib/containers/storage/overlay-containers/containers.json", &list);
        assert_eq!(machine.name("podman").0, "podman db");
        let list = format!(r#"[{{"id":"{ID}","names":["k8s_app_cart_shop_8a3f2c1e-77aa-4b5c-9d00-0123456789ab_0"]}}]"#);
        machine.write("var/lib/containers/storage/overlay-containers/containers.json", &list);
        assert_eq!(machine.name("cri-o").0, "cri-o shop/cart/app");
    }

    #[test]
    fn what_others_could_have_written_is_not_read() {
        let machine = Machine::new("others");
        let path = machine.write("var/lib/docker/containers/ID/config.v2.json", r#"{"Name":"/web"}"#);
        let unnamed = "docker 0a1b2c3d4e5f";
        let set = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
        };
        set(&path, 0o666);
        assert_eq!(machine.name("docker").0, unnamed);
        set(&path, 0o644);
        let folder = path.ancestors().nth(3).expect("a folder");
        set(folder, 0o777);
        assert_eq!(machine.name("docker").0, unnamed);
        set(folder, 0o755);
        assert_eq!(machine.name("docker").0, "docker web");
        let mut other = machine.containers();
        other.owner += 1;
        let mut container = Container { runtime: "docker".to_owned(), id: ID.to_owned(), ..Container::default() };
        other.name(&mut container);
        assert_eq!(container.name, None, "another user's");
        // A link that leads out of the machine, what is no file, what is no JSON, and what is too long.
        std::fs::remove_file(&path).expect("it is ours");
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link");
        assert_eq!(machine.name("docker").0, unnamed);
        std::fs::remove_file(&path).expect("it is ours");
        std::fs::create_dir(&path).expect("a folder");
        assert_eq!(machine.name("docker").0, unnamed);
        std::fs::remove_dir(&path).expect("it is ours");
        for text in ["", "{", "[]", r#"{"Name":7}"#, &format!("{}{{}}", " ".repeat(5 << 20))] {
            machine.write("var/lib/docker/containers/ID/config.v2.json", text);
            assert_eq!(machine.name("docker").0, unnamed, "{text:.20}");
        }
        let mut odd = Container { runtime: "docker".to_owned(), id: "../../x".to_owned(), ..Container::default() };
        machine.containers().name(&mut odd);
        assert_eq!(odd.name, None);
    }

    #[test]
    fn a_list_is_read_again_when_it_has_changed() {
        let machine = Machine::new("list");
        let path = "var/lib/containers/storage/overlay-containers/containers.json";
        let text = |name: &str| format!(r#"[{{"id":"{ID}","names":["{name}"]}},{{"id":"unnamed"}}]"#);
        let mut containers = machine.containers();
        let mut name = || {
            let mut container = Container { runtime: "podman".to_owned(), id: ID.to_owned(), ..Container::default() };
            containers.name(&mut container);
            container.name
        };
        assert_eq!(name(), None);
        let written = machine.write(path, &text("one"));
        assert_eq!((name().as_deref(), name().as_deref()), (Some("one"), Some("one")));
        // Longer: whatever the clock of the file system is like.
        machine.write(path, &text("another"));
        assert_eq!(name().as_deref(), Some("another"));
        std::fs::set_permissions(&written, PermissionsExt::from_mode(0o666)).expect("it is ours");
        assert_eq!(name(), None, "what was read before isn't told of a file that others can write");
    }
}
