//! `FastResumeStore`: the resume data of every torrent on disk, owned by two threads that keep the
//! order of what concerns one torrent (`order`).
//!
//! `<id>.fastresume` is libtorrent's blob, `<id>.meta.json` what we wanted when it was made. libtorrent never
//! syncs the payload, so a blob could claim pieces that a power cut took: every round of saves first syncs the
//! volumes that hold the payload, once each, and only then writes its blobs, each durably. So a blob on disk
//! never claims more than the disk had when it was written, whatever happened since: a kill, a power cut or a
//! reboot. It is believed in every case; the boot id and the clean-stop mark only tell the log which it was.

mod files;
mod lane;
mod order;
mod record;
mod relocate;
mod request;
mod round;
mod thread;
mod troubles;

pub(crate) use record::MetaRecord;
pub(crate) use request::{Loaded, Request, Response};
pub(crate) use round::SaveItem;
pub(crate) use thread::Store;
