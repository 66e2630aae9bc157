//! What netlink tells of devices, and of queues, filters and actions of tc: bytes in, plain data out
//! (`if_link.h`, `pkt_sched.h`, `pkt_cls.h` and `tc_act/tc_bpf.h` of include/uapi/linux).

use super::netlink::{attribute, attributes, word, written};
use super::record::text;

/// `RTM_GET…` of include/uapi/linux/rtnetlink.h.
pub(super) const GET_LINKS: u16 = 18;
pub(super) const GET_QUEUES: u16 = 38;
pub(super) const GET_CLASSES: u16 = 42;
pub(super) const GET_FILTERS: u16 = 46;
pub(super) const GET_ACTIONS: u16 = 50;

/// Bytes of `struct ifinfomsg`, `struct tcmsg` and `struct tcamsg`.
const LINK: usize = 16;
const PLACE: usize = 20;
const ACTIONS: usize = 4;

/// The device number of filters whose block is shared: `TCM_IFINDEX_MAGIC_BLOCK`.
const SHARED_BLOCK: u32 = 0xffff_ffff;
/// Where filters of a clsact queue are, on the way in and out: `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)`. A queue of kind
/// ingress has those of the way in only.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// Text of an attribute that is read.
const TEXT_MAX: usize = 256;
/// Actions in one message: the kernel sends 32.
const ACTIONS_MAX: usize = 1 << 10;

/// How a device runs an XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XdpMode {
    Driver,
    Generic,
    Offload,
}

impl XdpMode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Generic => "generic",
            Self::Offload => "offload",
        }
    }
}

/// A network device, and its XDP programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) xdp: Vec<(XdpMode, u32)>,
}

/// Asks for all devices, without their statistics (`RTEXT_FILTER_SKIP_STATS`).
pub(super) fn links_question() -> Vec<u8> {
    const EXT_MASK: u16 = 29;
    [vec![0; LINK], written(EXT_MASK, &8_u32.to_ne_bytes())].concat()
}

/// Reads an `RTM_NEWLINK`.
pub(super) fn device(body: &[u8]) -> Option<Device> {
    const NAME: u16 = 3;
    const XDP: u16 = 43;
    // `IFLA_XDP_…`: the one program or, where there are several, those by mode.
    const ATTACHED: u16 = 2;
    const PROGRAM: u16 = 4;
    const BY_MODE: [(u16, XdpMode); 3] = [(5, XdpMode::Driver), (6, XdpMode::Generic), (7, XdpMode::Offload)];
    let index = word(body, 4)?;
    let rest = body.get(LINK..)?;
    let xdp = attribute(rest, XDP).unwrap_or_default();
    let number = |kind: u16| attribute(xdp, kind).and_then(|value| word(value, 0)).filter(|id| *id != 0);
    let mut programs: Vec<_> = BY_MODE.iter().filter_map(|(kind, mode)| Some((*mode, number(*kind)?))).collect();
    if programs.is_empty() {
        // Kernels before 4.19 have one program at most.
        let mode = match attribute(xdp, ATTACHED).and_then(|value| value.first()) {
            Some(1) => Some(XdpMode::Driver),
            Some(2) => Some(XdpMode::Generic),
            Some(3) => Some(XdpMode::Offload),
            _ => None,
        };
        programs.extend(mode.zip(number(PROGRAM)));
    }
    Some(Device { index, name: shown(attribute(rest, NAME).unwrap_or_default()), xdp: programs })
}

/// A queueing discipline of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) device: u32,
    handle: u32,
    kind: String,
}

/// Asks for the queues of all devices, those that are there by default too (`TCA_DUMP_INVISIBLE`).
pub(super) fn queues_question() -> Vec<u8> {
    [vec![0; PLACE], written(10, &[])].concat()
}

/// Reads an `RTM_NEWQDISC`.
pub(super) fn queue(body: &[u8]) -> Option<Queue> {
    let kind = attribute(body.get(PLACE..)?, 1)?;
    Some(Queue { device: word(body, 4)?, handle: word(body, 8)?, kind: shown(kind) })
}

impl Queue {
    /// Where filters of it can be.
    pub(super) fn parents(&self) -> Vec<u32> {
        match &*self.kind {
            "clsact" => vec![INGRESS, EGRESS],
            "ingress" => vec![INGRESS],
            // Has none, and no handle.
            _ if self.handle == 0 => Vec::new(),
            _ => vec![self.handle],
        }
    }

    /// Whether its classes may have filters of their own.
    pub(super) fn is_classful(&self) -> bool {
        matches!(&*self.kind, "htb" | "hfsc" | "drr" | "qfq" | "ets" | "prio" | "cbq" | "dsmark" | "atm")
    }
}

/// Asks for the classes, or filters of one, of a device.
pub(super) fn place_question(device: u32, parent: u32) -> Vec<u8> {
    let mut question = vec![0; 4];
    for word in [device, 0, parent, 0] {
        question.extend(word.to_ne_bytes());
    }
    question
}

/// Reads an `RTM_NEWTCLASS`.
pub(super) fn class(body: &[u8]) -> Option<u32> {
    word(body, 8).filter(|handle| *handle != 0)
}

/// A filter that runs a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// The device, or one of those that share the block.
    pub(super) device: u32,
    pub(super) program: u32,
    parent: u32,
    handle: u32,
    priority: u32,
    chain: u32,
    /// The number of the block, if it is shared.
    block: Option<u32>,
    name: Option<String>,
}

/// Reads an `RTM_NEWTFILTER` that was asked for with a device; other filters than of kind bpf give nothing, and those of
/// classic programs, which have no id.
pub(super) fn filter(body: &[u8], asked: u32) -> Option<Filter> {
    const KIND: u16 = 1;
    const OPTIONS: u16 = 2;
    const CHAIN: u16 = 11;
    const NAME: u16 = 7;
    const ID: u16 = 11;
    let (device, handle, parent, info) = (word(body, 4)?, word(body, 8)?, word(body, 12)?, word(body, 16)?);
    let rest = body.get(PLACE..)?;
    if shown(attribute(rest, KIND)?) != "bpf" {
        return None;
    }
    let options = attribute(rest, OPTIONS)?;
    let program = attribute(options, ID).and_then(|value| word(value, 0)).filter(|id| *id != 0)?;
    let block = (device == SHARED_BLOCK).then_some(parent);
    Some(Filter {
        device: if block.is_some() { asked } else { device },
        program,
        parent,
        handle,
        priority: info >> 16,
        chain: attribute(rest, CHAIN).and_then(|value| word(value, 0)).unwrap_or(0),
        block,
        name: attribute(options, NAME).map(shown).filter(|name| !name.is_empty()),
    })
}

impl Filter {
    /// What tells filters of shared blocks apart, within a namespace.
    pub(super) fn block_key(&self) -> Option<(u32, u32, u32, u32)> {
        Some((self.block?, self.chain, self.priority, self.handle))
    }

    /// Where it is on its device.
    pub(super) fn place(&self) -> Vec<(&'static str, String)> {
        let mut place = Vec::new();
        match (self.block, self.parent) {
            (Some(block), _) => place.push(("block", block.to_string())),
            (None, INGRESS) => place.push(("direction", "ingress".to_owned())),
            (None, EGRESS) => place.push(("direction", "egress".to_owned())),
            // As tc writes it.
            (None, parent) => place.push(("parent", format!("{:x}:{:x}", parent >> 16, parent & 0xffff))),
        }
        if self.chain != 0 {
            place.push(("chain", self.chain.to_string()));
        }
        place.push(("priority", self.priority.to_string()));
        place.push(("handle", format!("{:#x}", self.handle)));
        place.extend(self.name.clone().map(|name| ("name", name)));
        place
    }
}

/// An action that runs a program; filters of any kind may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) index: u32,
    pub(super) program: u32,
    pub(super) name: Option<String>,
}

/// Asks for all actions of kind bpf.
pub(super) fn actions_question() -> Vec<u8> {
    const TABLE: u16 = 1;
    const FLAGS: u16 = 2;
    // More than 32, in several messages: `TCA_ACT_FLAG_LARGE_DUMP_ON`, a value and which bits of it are meant.
    let flags = [1_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat();
    [vec![0; ACTIONS], written(TABLE, &written(1, &written(1, b"bpf\0"))), written(FLAGS, &flags)].concat()
}

/// Reads an `RTM_GETACTION` that answers.
pub(super) fn actions(body: &[u8]) -> Vec<Action> {
    const OPTIONS: u16 = 2;
    const PARAMETERS: u16 = 2;
    const NAME: u16 = 6;
    const ID: u16 = 9;
    let table = body.get(ACTIONS..).and_then(|rest| attribute(rest, 1)).unwrap_or_default();
    let one = |(_, action)| {
        let options = attribute(action, OPTIONS)?;
        let program = attribute(options, ID).and_then(|value| word(value, 0)).filter(|id| *id != 0)?;
        let index = attribute(options, PARAMETERS).and_then(|value| word(value, 0)).unwrap_or(0);
        let name = attribute(options, NAME).map(shown).filter(|name| !name.is_empty());
        Some(Action { index, program, name })
    };
    attributes(table).take(ACTIONS_MAX).filter_map(one).collect()
}

fn shown(bytes: &[u8]) -> String {
    text(bytes.get(..TEXT_MAX).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: u16, value: u32) -> Vec<u8> {
        written(kind, &value.to_ne_bytes())
    }

    fn link(index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.resize(LINK, 0);
        body.extend(attributes.concat());
        body
    }

    fn place(words: [u32; 4], attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        body.extend(attributes.concat());
        body
    }

    #[test]
    fn devices_tell_their_programs() {
        let both = [written(2, &[4]), number(5, 70), number(6, 71)].concat();
        let body = link(3, &[written(3, b"eth\x1b0\0"), written(0x802b, &both)]);
        let xdp = vec![(XdpMode::Driver, 70), (XdpMode::Generic, 71)];
        assert_eq!(device(&body), Some(Device { index: 3, name: "eth\u{1b}0".to_owned(), xdp }));
        let old = [written(2, &[2]), number(4, 9)].concat();
        let body = link(1, &[written(3, b"lo\0"), written(43, &old)]);
        assert_eq!(device(&body).expect("a device").xdp, [(XdpMode::Generic, 9)]);
        let none = link(1, &[written(3, b"lo\0"), written(43, &written(2, &[0]))]);
        assert_eq!(device(&none).expect("a device").xdp, []);
    }

    #[test]
    fn filters_tell_where_they_are() {
        let options = [written(7, b"x.o:[tc]\0"), number(11, 44)].concat();
        let attributes = [written(1, b"bpf\0"), number(11, 2), written(0x8002, &options)];
        let body = place([3, 1, INGRESS, 7 << 16 | 0x300], &attributes);
        let found = filter(&body, 3).expect("a filter");
        let listed = found.place();
        let listed: Vec<_> = listed.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let expected =
            [("direction", "ingress"), ("chain", "2"), ("priority", "7"), ("handle", "0x1"), ("name", "x.o:[tc]")];
        assert_eq!((found.device, found.program, found.block_key()), (3, 44, None));
        assert_eq!(listed, expected);
        let shared = filter(&place([SHARED_BLOCK, 1, 22, 7 << 16], &attributes), 5).expect("a filter");
        assert_eq!((shared.device, shared.block_key(), shared.place()[0].1.as_str()), (5, Some((22, 2, 7, 1)), "22"));
        let classed = filter(&place([3, 1, 0x1_0020, 7 << 16], &attributes), 3).expect("a filter");
        assert_eq!(classed.place()[0], ("parent", "1:20".to_owned()));
        // Other kinds, and classic programs.
        assert_eq!(filter(&place([3, 1, INGRESS, 0], &[written(1, b"u32\0"), written(2, &options)]), 3), None);
        assert_eq!(filter(&place([3, 1, INGRESS, 0], &[written(1, b"bpf\0"), written(2, &[])]), 3), None);
        let queue = |kind: &[u8]| queue(&place([3, 0x8001_0000, 0, 0], &[written(1, kind)])).expect("a queue");
        assert_eq!(queue(b"clsact\0").parents(), [INGRESS, EGRESS]);
        assert_eq!(queue(b"ingress\0").parents(), [INGRESS]);
        assert_eq!((queue(b"htb\0").parents(), queue(b"htb\0").is_classful()), (vec![0x8001_0000], true));
    }

    #[test]
    fn actions_are_told() {
        let mut parameters = vec![0; 20];
        parameters[0] = 5;
        let options = [written(2, &parameters), written(6, b"a\0"), number(9, 66)].concat();
        let action = [written(1, b"bpf\0"), written(2, &options)].concat();
        let body = [vec![0; 4], written(1, &[written(1, &action), written(2, &action)].concat())].concat();
        let found = actions(&body);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Action { index: 5, program: 66, name: Some("a".to_owned()) });
    }

    #[test]
    fn what_is_cut_off_is_no_harm() {
        let options = [written(7, b"x\0"), number(11, 44)].concat();
        let whole = [
            link(3, &[written(3, b"eth0\0"), written(43, &[written(2, &[1]), number(4, 7)].concat())]),
            place([3, 1, INGRESS, 0], &[written(1, b"bpf\0"), written(2, &options)]),
            [vec![0; 4], written(1, &written(1, &written(2, &number(9, 66))))].concat(),
        ];
        for bytes in &whole {
            for len in 0..bytes.len() {
                let cut = &bytes[..len];
                assert!(device(cut).is_none_or(|device| device.xdp.is_empty()), "{len}");
                assert!(filter(cut, 3).is_none() && actions(cut).is_empty(), "{len}");
                let _ = (queue(cut), class(cut));
            }
        }
    }
}
