//! The bridge to libtorrent. Everything that crosses it is owned data; every function that can throw is a
//! `Result`. C++ calls nothing in Rust: its notify callback writes an eventfd, and that is all.
//!
//! Slots are our names for torrents: they travel as userdata, since info-hashes change when metadata arrives.

#![expect(
    unsafe_code,
    reason = "the bridge is declared unsafe by its grammar; beside it a viewer is said to be usable from any thread"
)]
#![expect(unreachable_pub, reason = "the bridge makes everything public; the crate does not pass it on")]

pub(crate) use bridge::{
    AddOutcome, AddRequest, Alert, AlertKind, Alerts, Endpoint, MetainfoFacts, Session, Setting, SettingKind,
    Status, Viewer, add, apply, check_resume, flush, forget, header_version, hold_all_uploads, hold_uploads,
    inspect, library_version, open, pause, pause_session, pop, post_stats, post_updates, prioritize,
    read_numbers, remove, reopen, resync, save_resume, set_limits, set_local_peers_limited, set_upload_mode,
    view,
};

#[cxx::bridge(namespace = "revaer")]
mod bridge {
    /// Which member of [`Setting`] holds the value.
    #[derive(Debug)]
    enum SettingKind {
        Number,
        Text,
        Switch,
    }

    /// One entry of libtorrent's `settings_pack`, by the name that its manual gives it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Setting {
        name: String,
        kind: SettingKind,
        number: i32,
        text: String,
        on: bool,
    }

    /// A numeric address and a port.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Endpoint {
        address: String,
        port: u16,
    }

    /// What a torrent is added with; the .torrent and the resume blob go beside it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct AddRequest {
        slot: u64,
        /// Empty where there is a .torrent.
        magnet: String,
        save_dir: String,
        /// 0 to 7 per file; empty: all are wanted.
        priorities: Vec<u8>,
        upload_mode: bool,
        sequential: bool,
        seed_mode: bool,
        hold_uploads: bool,
        /// Bytes per second, 0: no limit.
        download_limit: i32,
        upload_limit: i32,
        trackers: Vec<String>,
        peers: Vec<Endpoint>,
    }

    /// What handing over a torrent told.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    struct AddOutcome {
        /// Why the resume blob was not used; empty if it was, or if there was none.
        resume_refused: String,
        /// Length of each file, 0 for padding; empty for a magnet.
        file_sizes: Vec<u64>,
    }

    /// Which of libtorrent's alerts an [`Alert`] was.
    #[derive(Debug)]
    enum AlertKind {
        Added,
        AddFailed,
        /// Not added: a member has the same info-hash.
        AddDuplicate,
        Removed,
        Deleted,
        DeleteFailed,
        Paused,
        Resumed,
        Checked,
        MetadataReceived,
        PrioritiesSet,
        ResumeData,
        ResumeFailed,
        CacheFlushed,
        FileCompleted,
        TorrentError,
        FileError,
        ResumeRejected,
        Conflict,
        ListenSucceeded,
        ListenFailed,
        SessionStats,
        SessionError,
        Dropped,
    }

    /// One alert, copied out of libtorrent's queue. What a member means depends on the kind.
    #[derive(Debug, Clone)]
    struct Alert {
        kind: AlertKind,
        /// Whose; `u64::MAX` for the session's own.
        slot: u64,
        /// The other torrent of a conflict.
        other: u64,
        /// Words of libtorrent.
        text: String,
        /// A file, or an interface.
        path: String,
        /// An `errno`, where there is one.
        code: i32,
        port: u16,
        /// A resume blob.
        blob: Vec<u8>,
        /// A .torrent.
        metainfo: Vec<u8>,
        received: u64,
        sent: u64,
    }

    /// A torrent as `post_torrent_updates` reports it.
    #[derive(Debug, Clone)]
    struct Status {
        slot: u64,
        /// `torrent_status::state_t`.
        state: u8,
        has_metadata: bool,
        paused: bool,
        /// Empty while there is none.
        error: String,
        has_v1: bool,
        v1: [u8; 20],
        has_v2: bool,
        v2: [u8; 32],
        /// Every piece is there; the bits are left out.
        all_pieces: bool,
        /// How many pieces are there.
        piece_count: u32,
        pieces: Vec<u8>,
        wanted_done: u64,
        all_time_download: u64,
        all_time_upload: u64,
        session_download: u64,
        session_upload: u64,
        peers: u32,
    }

    /// What [`pop`] took out of the queue.
    #[derive(Debug, Clone, Default)]
    struct Alerts {
        alerts: Vec<Alert>,
        statuses: Vec<Status>,
    }

    /// One file of a .torrent.
    #[derive(Debug, Clone)]
    struct FileFacts {
        path: String,
        size: u64,
        offset: u64,
        padding: bool,
        symlink: bool,
    }

    /// What libtorrent's loader reads in a .torrent.
    #[derive(Debug, Clone)]
    struct MetainfoFacts {
        name: String,
        has_v1: bool,
        v1: [u8; 20],
        has_v2: bool,
        v2: [u8; 32],
        files: Vec<FileFacts>,
        piece_length: u64,
        piece_count: u32,
        private_: bool,
        trackers: Vec<String>,
    }

    unsafe extern "C++" {
        include!("revaer-torrent-libt/src/shim.h");

        type Session;
        type Viewer;

        fn library_version() -> String;
        fn header_version() -> String;
        fn inspect(metainfo: &[u8]) -> Result<MetainfoFacts>;
        fn check_resume(blob: &[u8]) -> Result<()>;

        /// Starts a session whose alerts wake `eventfd`, with these settings from its first moment.
        /// Names that this version does not know are added to `unknown`.
        fn open(
            settings: &[Setting],
            posix: bool,
            eventfd: i32,
            unknown: &mut Vec<String>,
        ) -> Result<UniquePtr<Session>>;
        fn apply(session: Pin<&mut Session>, settings: &[Setting]) -> Result<()>;
        fn set_local_peers_limited(session: Pin<&mut Session>, limited: bool) -> Result<()>;
        /// A second way to ask the session, for another thread.
        fn view(session: Pin<&mut Session>) -> UniquePtr<Viewer>;
        /// The values in force of numeric settings, by name. Waits for libtorrent's network thread.
        fn read_numbers(viewer: &Viewer, names: &[String]) -> Result<Vec<i32>>;
        fn reopen(session: Pin<&mut Session>) -> Result<()>;
        fn pause_session(session: Pin<&mut Session>) -> Result<()>;
        fn hold_all_uploads(session: Pin<&mut Session>, hold: bool);

        fn add(
            session: Pin<&mut Session>,
            request: &AddRequest,
            metainfo: &[u8],
            resume: &[u8],
        ) -> Result<AddOutcome>;
        fn prioritize(session: Pin<&mut Session>, slot: u64, priorities: &[u8]) -> Result<()>;
        fn set_upload_mode(session: Pin<&mut Session>, slot: u64, on: bool) -> Result<()>;
        fn hold_uploads(session: Pin<&mut Session>, slot: u64, hold: bool) -> Result<()>;
        fn set_limits(session: Pin<&mut Session>, slot: u64, download: i32, upload: i32) -> Result<()>;
        fn pause(session: Pin<&mut Session>, slot: u64) -> Result<()>;
        fn save_resume(session: Pin<&mut Session>, slot: u64, with_info: bool) -> Result<()>;
        fn flush(session: Pin<&mut Session>, slot: u64) -> Result<()>;
        fn remove(session: Pin<&mut Session>, slot: u64, delete_partfile: bool) -> Result<()>;
        /// Ends the slot's meaning, after the last alert of its torrent.
        fn forget(session: Pin<&mut Session>, slot: u64);

        fn post_updates(session: Pin<&mut Session>) -> Result<()>;
        fn post_stats(session: Pin<&mut Session>) -> Result<()>;
        fn pop(session: Pin<&mut Session>) -> Result<Alerts>;
        /// Asks for everything, synchronously; only after alerts were lost.
        fn resync(session: Pin<&mut Session>) -> Result<Alerts>;
    }
}

// SAFETY: `lt::session_handle`, all that a viewer holds, may be used from any thread (libtorrent manual, "threads").
unsafe impl Send for Viewer {}
