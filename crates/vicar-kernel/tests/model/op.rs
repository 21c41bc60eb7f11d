//! What can be done in one step, and a source of random steps.

use vicar_kernel::{Qos, Reach, Tracking};
use vicar_nt::ImpersonationLevel;

use crate::rules::Change;

/// One step. Numbers are taken modulo what there is, so that any part of a sequence is a sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// A token of the cast is copied to `level` and put on a thread as its own, shared with whoever opens it.
    Assign {
        thread: usize,
        role: usize,
        level: ImpersonationLevel,
    },
    /// A token of the cast itself is put on a thread, as a kernel component does.
    Wear {
        thread: usize,
        role: usize,
        level: ImpersonationLevel,
        effective_only: bool,
        copy: bool,
    },
    Impersonate {
        thread: usize,
        context: usize,
    },
    PrepareOnly {
        thread: usize,
        context: usize,
    },
    Revert {
        thread: usize,
    },
    Disable {
        thread: usize,
    },
    Restore,
    Open {
        target: usize,
        caller: usize,
        as_self: bool,
    },
    Close {
        handle: usize,
    },
    AssignHandle {
        thread: usize,
        handle: usize,
    },
    AdjustHandle {
        handle: usize,
        privilege: usize,
        change: Change,
    },
    AdjustPrimary {
        process: usize,
        privilege: usize,
        change: Change,
    },
    Capture {
        thread: usize,
        qos: Qos,
        remote: bool,
    },
    CaptureSubject {
        thread: usize,
        qos: Qos,
        remote: bool,
    },
    Refresh {
        context: usize,
        thread: usize,
    },
    Delete {
        context: usize,
    },
    PipeOpen {
        thread: usize,
        qos: Qos,
    },
    PipeWrite {
        thread: usize,
    },
    PipeRead,
    PipeImpersonate {
        thread: usize,
    },
    PipeDisconnect,
    ReplacePrimary {
        process: usize,
        role: usize,
    },
    LimitJob {
        process: usize,
        limit: usize,
    },
    Forget {
        role: usize,
    },
    Remake {
        role: usize,
    },
    FailNext {
        nth: u64,
    },
}

/// A small generator of numbers: the same seed gives the same steps everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    pub(crate) fn level(&mut self) -> ImpersonationLevel {
        // Impersonation is what most things are about.
        let all = ImpersonationLevel::ALL;
        if self.flag() { ImpersonationLevel::Impersonation } else { all[self.below(all.len())] }
    }

    fn change(&mut self) -> Change {
        match self.below(8) {
            0 => Change::Remove,
            1..=3 => Change::Disable,
            _ => Change::Enable,
        }
    }

    pub(crate) fn qos(&mut self) -> Qos {
        let tracking = if self.flag() { Tracking::Static } else { Tracking::Dynamic };
        let reach = if self.flag() { Reach::AllHeld } else { Reach::EffectiveOnly };
        Qos { level: self.level(), tracking, reach }
    }

    pub(crate) fn op(&mut self) -> Op {
        let (thread, role, context) = (self.below(64), self.below(64), self.below(64));
        match self.below(100) {
            0..=5 => Op::Assign { thread, role, level: self.level() },
            6..=11 => {
                let (effective_only, copy) = (self.flag(), self.flag());
                Op::Wear { thread, role, level: self.level(), effective_only, copy }
            }
            12..=31 => Op::Impersonate { thread, context },
            32..=33 => Op::PrepareOnly { thread, context },
            34..=41 => Op::Revert { thread },
            42..=45 => Op::Disable { thread },
            46..=48 => Op::Restore,
            49..=54 => Op::Open { target: thread, caller: context, as_self: self.flag() },
            55..=56 => Op::Close { handle: context },
            57..=58 => Op::AssignHandle { thread, handle: context },
            59..=61 => Op::AdjustHandle { handle: context, privilege: role, change: self.change() },
            62..=64 => Op::AdjustPrimary { process: context, privilege: role, change: self.change() },
            65..=75 => Op::Capture { thread, qos: self.qos(), remote: self.below(8) == 0 },
            76..=79 => Op::CaptureSubject { thread, qos: self.qos(), remote: self.below(8) == 0 },
            80..=81 => Op::Refresh { context, thread },
            82..=83 => Op::Delete { context },
            84..=85 => Op::PipeOpen { thread, qos: self.qos() },
            86..=87 => Op::PipeWrite { thread },
            88..=89 => Op::PipeRead,
            90..=91 => Op::PipeImpersonate { thread },
            92 => Op::PipeDisconnect,
            93..=94 => Op::ReplacePrimary { process: context, role },
            95 => Op::LimitJob { process: context, limit: role },
            96 => Op::Forget { role },
            97..=98 => Op::Remake { role },
            _ => Op::FailNext { nth: self.next() % 3 + 1 },
        }
    }
}
