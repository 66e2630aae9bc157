//! Who tells of descriptors: the kernel, or /proc where that is refused.

use std::process::{Child, Command};
use std::time::Duration;

use residue_ebpf::tracer::{Error, Sampler, Tracer};
use residue_fd::event::Event;

/// See the methods of [`Tracer`].
pub(super) enum Follower<'a> {
    Kernel(Box<Tracer<'a>>),
    Proc(Box<Sampler>),
}

impl Follower<'_> {
    pub(super) fn started(&self, pids: &[u32]) -> Event {
        match self {
            Self::Kernel(tracer) => tracer.started(pids),
            Self::Proc(sampler) => sampler.started(pids),
        }
    }

    pub(super) fn ended(&self, exited: bool) -> Event {
        match self {
            Self::Kernel(tracer) => tracer.ended(exited),
            Self::Proc(sampler) => sampler.ended(exited),
        }
    }

    pub(super) fn follow(&mut self, pid: u32) -> Result<(), Error> {
        match self {
            Self::Kernel(tracer) => tracer.follow(pid),
            Self::Proc(sampler) => sampler.follow(pid),
        }
    }

    pub(super) fn spawn(&mut self, command: &mut Command) -> Result<Child, Error> {
        match self {
            Self::Kernel(tracer) => tracer.spawn(command),
            Self::Proc(sampler) => sampler.spawn(command),
        }
    }

    pub(super) fn wait(&self, timeout: Duration) {
        match self {
            Self::Kernel(tracer) => tracer.wait(timeout),
            Self::Proc(sampler) => sampler.wait(timeout),
        }
    }

    /// What happened to processes, between looks.
    pub(super) fn processes(&mut self, out: &mut Vec<Event>) {
        if let Self::Kernel(tracer) = self {
            tracer.processes(out);
        }
    }

    pub(super) fn reconcile(&mut self) -> Result<(), Error> {
        match self {
            Self::Kernel(tracer) => tracer.reconcile(),
            Self::Proc(_) => Ok(()),
        }
    }

    pub(super) fn poll(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        match self {
            Self::Kernel(tracer) => tracer.poll(out),
            Self::Proc(sampler) => {
                sampler.poll(out);
                Ok(())
            }
        }
    }

    pub(super) fn live(&mut self, out: &mut Vec<Event>) {
        match self {
            Self::Kernel(tracer) => tracer.live(out),
            Self::Proc(sampler) => sampler.live(out),
        }
    }
}
