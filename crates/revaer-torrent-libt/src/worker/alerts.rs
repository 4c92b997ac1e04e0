//! `AlertPump` and `AlertTranslator`: what libtorrent reports becomes what is seen of each torrent.

use std::time::Instant;

use revaer_torrent_core::engine::EngineError;

use super::{
    core::Core,
    member::{Metainfo, PendingPriorities, has_skips, numbers},
};
use crate::{
    ffi::{Alert, AlertKind, Alerts, Status},
    mailbox::answer,
    session::{LibtSession, Slot},
};

impl<S: LibtSession> Core<S> {
    /// Takes and works on everything that libtorrent has reported.
    pub(crate) fn take_alerts(&mut self, now: Instant) {
        match self.session.pop() {
            Ok(alerts) => self.on_alerts(alerts, now),
            Err(error) => tracing::error!(%error, "libtorrent's alerts could not be read"),
        }
    }

    fn on_alerts(&mut self, alerts: Alerts, now: Instant) {
        let dropped = alerts.alerts.iter().any(|alert| alert.kind == AlertKind::Dropped);
        for alert in alerts.alerts {
            self.on_alert(alert, now);
        }
        for status in &alerts.statuses {
            self.on_status(status, now);
        }
        if dropped {
            self.resync(now);
        }
    }

    fn on_alert(&mut self, alert: Alert, now: Instant) {
        let slot = Slot(alert.slot);
        match alert.kind {
            AlertKind::Added => self.on_added(slot, now),
            AlertKind::AddFailed => {
                self.on_add_failed(slot, |id| EngineError::Refused { id, reason: alert.text }, now);
            }
            AlertKind::AddDuplicate => self.on_add_failed(slot, EngineError::SameContent, now),
            AlertKind::Removed => self.on_removed(slot, now),
            AlertKind::Deleted | AlertKind::DeleteFailed => self.on_deleted(slot, &alert.text, now),
            AlertKind::Paused => {
                self.set_paused(slot, true);
                self.on_files_closed(slot, now);
            }
            AlertKind::Resumed => self.set_paused(slot, false),
            AlertKind::Checked => self.on_checked(slot),
            AlertKind::MetadataReceived => self.ask_for_metainfo(slot),
            AlertKind::PrioritiesSet => self.on_priorities_set(slot),
            AlertKind::ResumeData => {
                self.on_metainfo(slot, alert.metainfo);
                self.on_blob(slot, alert.blob);
            }
            AlertKind::ResumeFailed => {
                self.on_metainfo_refused(slot, &alert.text);
                if let Some(done) = self.saver.on_failed(slot, &alert.text) {
                    self.on_save_done(done, now);
                }
            }
            AlertKind::CacheFlushed => self.saver.on_flushed(slot),
            AlertKind::FileCompleted => self.saver.mark_soon(slot),
            AlertKind::TorrentError => self.on_error(slot, &alert.path, &alert.text),
            AlertKind::FileError => self.on_file_error(slot, &alert.path, &alert.text),
            AlertKind::ResumeRejected => self.on_resume_rejected(slot, &alert.path, &alert.text),
            AlertKind::Conflict => self.on_conflict(&alert),
            AlertKind::ListenSucceeded | AlertKind::ListenFailed => self.on_listen(&alert, now),
            AlertKind::SessionStats => {
                self.timers.answered();
                self.shared.board.set_status(|status| {
                    status.payload_received.0 = alert.received;
                    status.payload_sent.0 = alert.sent;
                });
            }
            AlertKind::SessionError => {
                tracing::error!(text = alert.text, "libtorrent reports an error of its session");
            }
            AlertKind::Dropped => tracing::warn!("libtorrent dropped alerts; everything is read anew"),
            _ => {}
        }
        if self.members.by_slot.contains_key(&slot) {
            self.members.touch(slot);
            self.timers.active(now);
        }
    }

    fn on_status(&mut self, status: &Status, now: Instant) {
        let slot = Slot(status.slot);
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        let news = member.see(status, now);
        self.members.touch(slot);
        if news.moving {
            self.members.moving.insert(slot);
            self.timers.active(now);
        }
        if news.pieces {
            self.saver.mark(slot);
        }
        if news.metadata {
            self.ask_for_metainfo(slot);
        }
    }

    fn set_paused(&mut self, slot: Slot, paused: bool) {
        if let Some(member) = self.members.by_slot.get_mut(&slot) {
            member.view.paused = paused;
        }
    }

    /// The info dictionary of a magnet came: its .torrent is asked for, once.
    pub(crate) fn ask_for_metainfo(&mut self, slot: Slot) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        member.view.has_metadata = true;
        if member.view.metainfo != Metainfo::Unasked {
            return;
        }
        self.saver.mark(slot);
        match self.session.save_resume(slot, true) {
            Ok(()) => member.view.metainfo = Metainfo::Asked,
            Err(error) => {
                tracing::warn!(torrent.id = %member.id, %error, "the info dictionary could not be asked for");
            }
        }
    }

    /// libtorrent refused a save, perhaps the one that was to hold the info dictionary: it is asked for again with
    /// the next saves.
    fn on_metainfo_refused(&mut self, slot: Slot, reason: &str) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        if member.view.metainfo == Metainfo::Asked {
            member.view.metainfo = Metainfo::Unasked;
            tracing::warn!(torrent.id = %member.id, reason, "the info dictionary was not given; it is asked for again");
        }
    }

    fn on_metainfo(&mut self, slot: Slot, metainfo: Vec<u8>) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        if !metainfo.is_empty() && member.view.metainfo.known().is_none() {
            member.view.metainfo = Metainfo::Known(metainfo.into());
        }
    }

    fn on_checked(&mut self, slot: Slot) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        member.saving.checked = true;
        if !member.saving.from_blob {
            self.saver.mark(slot);
        }
        if !member.pending.is_empty() {
            // Their confirmation opens the gate.
            return;
        }
        let Some(selection) = member.selection.clone().filter(has_skips) else {
            member.gate.unchecked = false;
            return self.update_gate(slot);
        };
        // 2.0.8 shows the priorities of a seed and uses others.
        match self.session.prioritize(slot, &numbers(&selection)) {
            Ok(()) => member.pending.push_back(PendingPriorities { selection, reply: None }),
            Err(error) => {
                tracing::warn!(torrent.id = %member.id, %error, "priorities could not be set again");
            }
        }
    }

    /// The oldest priorities that were handed over are in force.
    fn on_priorities_set(&mut self, slot: Slot) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        let Some(pending) = member.pending.pop_front() else { return };
        member.view.confirmed = Some(pending.selection.version);
        member.selection = Some(pending.selection);
        member.gate.unselected = false;
        member.gate.unchecked = member.gate.unchecked && !member.saving.checked;
        self.update_gate(slot);
        self.saver.mark(slot);
        self.show(slot);
        if let Some(reply) = pending.reply {
            answer(reply, Ok(()));
        }
    }

    fn on_error(&mut self, slot: Slot, path: &str, text: &str) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        if member.view.error.is_none() {
            member.view.error =
                Some(if path.is_empty() { text.to_owned() } else { format!("{path}: {text}") });
        }
    }

    fn on_file_error(&mut self, slot: Slot, path: &str, text: &str) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        let reason = format!("{path}: {text}");
        tracing::warn!(torrent.id = %member.id, reason, "a file could not be read or written");
        // The first reason is the cause; the others follow from it.
        member.view.error.get_or_insert_with(|| reason.clone());
        let id = member.id;
        for pending in member.pending.drain(..) {
            if let Some(reply) = pending.reply {
                answer(reply, Err(EngineError::Refused { id, reason: reason.clone() }));
            }
        }
    }

    fn on_resume_rejected(&mut self, slot: Slot, path: &str, text: &str) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        member.saving.from_blob = false;
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        tracing::warn!(
            torrent.id = %member.id,
            reason = format!("{place}{text}"),
            "the files are not as the resume data says; the content is checked"
        );
    }

    /// Two magnets turned out to be one torrent; both hold the .torrent, so that one of them can go on.
    fn on_conflict(&mut self, alert: &Alert) {
        for slot in [Slot(alert.slot), Slot(alert.other)] {
            let Some(member) = self.members.by_slot.get_mut(&slot) else { continue };
            member.view.conflict = true;
            self.on_metainfo(slot, alert.metainfo.clone());
            self.members.touch(slot);
        }
    }

    fn on_listen(&mut self, alert: &Alert, now: Instant) {
        if alert.kind == AlertKind::ListenSucceeded {
            self.listen.on_success(alert.port);
        } else if self.listen.on_failure(alert.port, alert.code, &alert.text, now) {
            self.try_next_port();
        } else {
            tracing::debug!(interface = alert.path, text = alert.text, "an address is not listened on");
        }
        let bound = self.listen.bound();
        self.shared.board.set_status(|status| status.listen_port = bound);
        self.report_health(now);
    }

    /// After alerts were lost: everything is read, and what was asked for is asked for again. The one synchronous
    /// call, some 20 ms for 10,000 torrents.
    fn resync(&mut self, now: Instant) {
        let all = match self.session.resync() {
            Ok(all) => all,
            Err(error) => return tracing::error!(%error, "the session could not be read anew"),
        };
        let present: std::collections::HashSet<u64> = all.statuses.iter().map(|status| status.slot).collect();
        self.on_alerts(all, now);
        for slot in self.entering.unanswered() {
            let reason = "libtorrent's answer was lost, and it does not have the torrent".to_owned();
            self.on_add_failed(slot, |id| EngineError::Refused { id, reason }, now);
        }
        let slots: Vec<Slot> = self.members.by_slot.keys().copied().collect();
        for slot in slots {
            if present.contains(&slot.0) {
                self.ask_anew(slot, now);
            } else if self.members.by_slot.get(&slot).is_some_and(|member| !member.is_entering()) {
                self.on_deleted(slot, "", now);
                self.on_removed(slot, now);
            }
        }
        for slot in self.saver.asked() {
            self.ask_for_blob(slot);
        }
    }

    /// Whatever was asked of this torrent may have been answered by an alert that was lost.
    fn ask_anew(&mut self, slot: Slot, now: Instant) {
        let Some(member) = self.members.by_slot.get_mut(&slot) else { return };
        for pending in &member.pending {
            // Each has its answer; one too many is ignored.
            if let Err(error) = self.session.prioritize(slot, &numbers(&pending.selection)) {
                tracing::warn!(torrent.id = %member.id, %error, "priorities could not be set again");
            }
        }
        if member.view.metainfo == Metainfo::Asked {
            member.view.metainfo = Metainfo::Unasked;
        }
        let (is_paused, is_unasked) = (member.view.paused, member.has_unasked_metainfo());
        let is_check_over = member.is_past_check() && !member.saving.checked;
        if is_unasked {
            self.ask_for_metainfo(slot);
        }
        if is_check_over {
            self.on_checked(slot);
        }
        if is_paused {
            self.on_files_closed(slot, now);
        }
    }
}
