//! The caps that libtorrent has in force, read back after each change. Reading waits for libtorrent's network thread,
//! up to a second and more while it is busy, so a thread of its own does it.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use cxx::UniquePtr;
use revaer_torrent_core::BytesPerSecond;

use crate::{
    board::Board,
    ffi::{self, Viewer},
};

/// Reads the caps of one session; ends with it.
#[derive(Debug)]
pub(crate) struct Readback {
    // A second wish while one waits adds nothing: the reading is still to come.
    wishes: SyncSender<()>,
}

impl Readback {
    pub(crate) fn start(viewer: UniquePtr<Viewer>, board: Arc<Board>) -> io::Result<Self> {
        let (wishes, wished) = sync_channel(1);
        let thread = std::thread::Builder::new().name("session-readback".to_owned());
        // Not joined: it may wait for a session that is held up, and ends when the wishes do.
        drop(thread.spawn(move || read_on_wish(&viewer, &board, &wished))?);
        Ok(Self { wishes })
    }

    /// Has the caps read soon.
    pub(crate) fn wish(&self) {
        if let Err(TrySendError::Disconnected(())) = self.wishes.try_send(()) {
            tracing::debug!("the session's caps are not read back any more");
        }
    }
}

fn read_on_wish(viewer: &UniquePtr<Viewer>, board: &Board, wished: &Receiver<()>) {
    let names = ["download_rate_limit".to_owned(), "upload_rate_limit".to_owned()];
    while wished.recv().is_ok() {
        match ffi::read_numbers(viewer, &names).as_deref() {
            Ok([download, upload]) => board.set_status(|status| {
                status.download_limit = cap(*download);
                status.upload_limit = cap(*upload);
            }),
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(%error, "the session's caps could not be read back");
                return;
            }
        }
    }
}

/// libtorrent reads and writes 0 for "no cap".
fn cap(number: i32) -> Option<BytesPerSecond> {
    u64::try_from(number).ok().filter(|number| *number > 0).map(BytesPerSecond)
}
