//! Ctrl-C while something runs: a flag to look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C was pressed while something ran. At the prompt the line editor answers it.
pub struct Interrupt(pub(super) Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen; from now on Ctrl-C does not end the program.
    pub fn listen() -> Self {
        let came = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&came);
        let (listening, ready) = std::sync::mpsc::channel::<()>();
        let listen = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
                return;
            };
            runtime.block_on(async {
                // The handler is there once the future was polled; it stays when the future is dropped.
                tokio::select! {
                    biased;
                    _ = tokio::signal::ctrl_c() => flag.store(true, Ordering::Relaxed),
                    () = async { drop(listening) } => {}
                }
                while tokio::signal::ctrl_c().await.is_ok() {
                    flag.store(true, Ordering::Relaxed);
                }
            });
        };
        // Without the thread Ctrl-C ends the program, which is what it does elsewhere.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(listen);
        // The line editor saves the handler that it finds and puts it back after each line: ours must be there first.
        let _ = ready.recv();
        Self(came)
    }

    /// Forgets that it was pressed.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether it was pressed.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
