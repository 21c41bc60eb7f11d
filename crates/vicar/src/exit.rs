//! How a command ends.

use std::process::{ExitCode, Termination};

/// What a command tells its caller through the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for holds.
    Right,
    /// A verdict was wrong, or the request was denied.
    Wrong,
    /// The command line is wrong, or the command cannot run here.
    CannotRun,
    /// The command ran but could not reach a verdict.
    CannotJudge,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Right => 0,
            Self::Wrong => 1,
            Self::CannotRun => 2,
            Self::CannotJudge => 3,
        })
    }
}
