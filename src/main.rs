//! The program: its memory allocator, and the command line.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the bindings do not name; the same number in mimalloc 2 and 3.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // Milliseconds (10 otherwise). Each batch of fetched records goes back to the system after so long, only to be asked for
    // again: a twentieth of a backlog's processor time went into pages.
    // SAFETY: sets a number, before any other thread is there.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 5_000) };
    incidentd::cli::main()
}
