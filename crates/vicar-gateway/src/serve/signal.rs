//! SIGTERM and SIGINT: the first drains, the second ends.

use super::Stopper;
use tokio::signal::unix::{SignalKind, signal};

/// Ends a gateway by signals, for as long as the runtime lives.
///
/// # Errors
/// - The system's, when no handler can be installed.
pub fn stop_on_signals(stopper: Stopper) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for count in 0_u8.. {
            let received = tokio::select! {
                received = terminate.recv() => received,
                received = interrupt.recv() => received,
            };
            match (received, count) {
                (None, _) => return,
                (Some(()), 0) => stopper.drain(),
                (Some(()), _) => return stopper.end(),
            }
        }
    });
    Ok(())
}
