//! The seam between the worker and libtorrent: what the worker may ask of a session. The native one is thin; the
//! worker's own logic is tested against a scripted one.

use std::sync::Arc;

use cxx::UniquePtr;

use crate::{
    board::Board,
    ffi::{self, AddOutcome, AddRequest, Alerts, Setting},
    readback::Readback,
    wake::Wake,
};

/// libtorrent refused a call, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SessionError(pub(crate) String);

impl From<cxx::Exception> for SessionError {
    fn from(error: cxx::Exception) -> Self {
        Self(error.what().to_owned())
    }
}

type Answer<T = ()> = Result<T, SessionError>;

/// A torrent in the session; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u64);

/// A session. Every call but [`LibtSession::resync`] only hands over; the outcome comes as an alert.
pub(crate) trait LibtSession {
    fn apply(&mut self, settings: &[Setting]) -> Answer;
    fn set_local_peers_limited(&mut self, limited: bool) -> Answer;
    fn reopen(&mut self) -> Answer;
    fn pause_session(&mut self) -> Answer;
    fn hold_all_uploads(&mut self, hold: bool);
    fn add(&mut self, request: &AddRequest, metainfo: &[u8], resume: &[u8]) -> Answer<AddOutcome>;
    fn prioritize(&mut self, slot: Slot, priorities: &[u8]) -> Answer;
    fn set_upload_mode(&mut self, slot: Slot, on: bool) -> Answer;
    fn hold_uploads(&mut self, slot: Slot, hold: bool) -> Answer;
    fn set_limits(&mut self, slot: Slot, download: i32, upload: i32) -> Answer;
    fn pause(&mut self, slot: Slot) -> Answer;
    fn save_resume(&mut self, slot: Slot, with_info: bool) -> Answer;
    fn flush(&mut self, slot: Slot) -> Answer;
    fn remove(&mut self, slot: Slot, delete_partfile: bool) -> Answer;
    fn forget(&mut self, slot: Slot);
    fn post_updates(&mut self) -> Answer;
    fn post_stats(&mut self) -> Answer;
    fn pop(&mut self) -> Answer<Alerts>;
    fn resync(&mut self) -> Answer<Alerts>;
}

/// Makes sessions. The worker makes one at its first profile.
pub(crate) trait OpenSession {
    type Session: LibtSession;
    fn open(&mut self, settings: &[Setting], wake: &Arc<Wake>) -> Answer<Self::Session>;
}

/// Opens sessions of the library.
#[derive(Debug)]
pub(crate) struct NativeOpener {
    /// Where the caps in force are shown.
    pub(crate) board: Arc<Board>,
}

impl OpenSession for NativeOpener {
    type Session = NativeSession;

    fn open(&mut self, settings: &[Setting], wake: &Arc<Wake>) -> Answer<NativeSession> {
        let mut unknown = Vec::new();
        let mut session = ffi::open(settings, false, wake.raw(), &mut unknown)?;
        for name in unknown {
            tracing::warn!(
                setting = name,
                "this version of libtorrent does not know the setting; it is left out"
            );
        }
        let viewer = ffi::view(session.pin_mut());
        let readback = Readback::start(viewer, Arc::clone(&self.board))
            .map_err(|error| SessionError(format!("the system gave no thread: {error}")))?;
        readback.wish();
        Ok(NativeSession { session, readback, _wake: Arc::clone(wake) })
    }
}

/// A session of the library. Not `Send`: it lives and dies on the thread that made it.
pub(crate) struct NativeSession {
    // Dropped first: its callback writes to the eventfd.
    session: UniquePtr<ffi::Session>,
    readback: Readback,
    _wake: Arc<Wake>,
}

impl LibtSession for NativeSession {
    fn apply(&mut self, settings: &[Setting]) -> Answer {
        ffi::apply(self.session.pin_mut(), settings)?;
        self.readback.wish();
        Ok(())
    }

    fn set_local_peers_limited(&mut self, limited: bool) -> Answer {
        Ok(ffi::set_local_peers_limited(self.session.pin_mut(), limited)?)
    }

    fn reopen(&mut self) -> Answer {
        Ok(ffi::reopen(self.session.pin_mut())?)
    }

    fn pause_session(&mut self) -> Answer {
        Ok(ffi::pause_session(self.session.pin_mut())?)
    }

    fn hold_all_uploads(&mut self, hold: bool) {
        ffi::hold_all_uploads(self.session.pin_mut(), hold);
    }

    fn add(&mut self, request: &AddRequest, metainfo: &[u8], resume: &[u8]) -> Answer<AddOutcome> {
        Ok(ffi::add(self.session.pin_mut(), request, metainfo, resume)?)
    }

    fn prioritize(&mut self, slot: Slot, priorities: &[u8]) -> Answer {
        Ok(ffi::prioritize(self.session.pin_mut(), slot.0, priorities)?)
    }

    fn set_upload_mode(&mut self, slot: Slot, on: bool) -> Answer {
        Ok(ffi::set_upload_mode(self.session.pin_mut(), slot.0, on)?)
    }

    fn hold_uploads(&mut self, slot: Slot, hold: bool) -> Answer {
        Ok(ffi::hold_uploads(self.session.pin_mut(), slot.0, hold)?)
    }

    fn set_limits(&mut self, slot: Slot, download: i32, upload: i32) -> Answer {
        Ok(ffi::set_limits(self.session.pin_mut(), slot.0, download, upload)?)
    }

    fn pause(&mut self, slot: Slot) -> Answer {
        Ok(ffi::pause(self.session.pin_mut(), slot.0)?)
    }

    fn save_resume(&mut self, slot: Slot, with_info: bool) -> Answer {
        Ok(ffi::save_resume(self.session.pin_mut(), slot.0, with_info)?)
    }

    fn flush(&mut self, slot: Slot) -> Answer {
        Ok(ffi::flush(self.session.pin_mut(), slot.0)?)
    }

    fn remove(&mut self, slot: Slot, delete_partfile: bool) -> Answer {
        Ok(ffi::remove(self.session.pin_mut(), slot.0, delete_partfile)?)
    }

    fn forget(&mut self, slot: Slot) {
        ffi::forget(self.session.pin_mut(), slot.0);
    }

    fn post_updates(&mut self) -> Answer {
        Ok(ffi::post_updates(self.session.pin_mut())?)
    }

    fn post_stats(&mut self) -> Answer {
        Ok(ffi::post_stats(self.session.pin_mut())?)
    }

    fn pop(&mut self) -> Answer<Alerts> {
        Ok(ffi::pop(self.session.pin_mut())?)
    }

    fn resync(&mut self) -> Answer<Alerts> {
        Ok(ffi::resync(self.session.pin_mut())?)
    }
}
