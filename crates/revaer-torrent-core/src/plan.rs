//! The planner: what is wanted of one torrent, what the engine has, and what to do next.
//!
//! Pure, and called again after every action and every change, so the happy path, the crash and the missed
//! notification are the same code.

use crate::{RateLimits, Wanted};

/// What the record wants, as far as the engine is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read by itself")]
pub struct Desired {
    /// Whether it should run.
    pub wanted: Wanted,
    /// It has failed and waits for the operator: it stays as it is.
    pub failed: bool,
    /// Whether the .torrent is stored durably.
    pub has_metainfo: bool,
    /// Whether its content has been given a place.
    pub has_path: bool,
    /// The version of the selection.
    pub selection_version: u64,
    /// Its own caps.
    pub limits: RateLimits,
    /// Its content lies on a volume that is away, or is being worked on: it must not be a member.
    pub withheld: bool,
    /// The queue lets it run now.
    pub admitted: bool,
}

/// Whether the engine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It is not a member of the session.
    Out,
    /// It is.
    In,
}

/// What the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Whether it is a member of the session.
    pub membership: Membership,
    /// It has made a .torrent from a magnet's info dictionary.
    pub offers_metainfo: bool,
    /// It was added from what is stored now, with the place that its content has now.
    pub in_place: bool,
    /// The selection in force.
    pub selection_version: Option<u64>,
    /// The caps in force.
    pub limits: RateLimits,
    /// libtorrent stopped it because another member turned out to be the same torrent.
    pub conflict: bool,
}

/// One thing to do; the loop does it and plans again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing: what is wanted is what is.
    Nothing,
    /// Make it a member.
    Add,
    /// Store the .torrent that the engine offers.
    StoreMetainfo,
    /// Give its content a place that no other torrent's content has.
    AssignPath,
    /// Put the selection in force.
    Select,
    /// Put the caps in force.
    SetLimits,
    /// Take it out of the session, keeping everything.
    Unload,
    /// Take it out for good, delete what has to go, and end the tombstone.
    Remove,
}

/// What to do next about one torrent.
pub fn plan(desired: &Desired, observed: &Observed) -> Action {
    match (desired.wanted, observed.membership) {
        (Wanted::Removed { .. }, _) => Action::Remove,
        (Wanted::Stopped, Membership::In) => Action::Unload,
        (Wanted::Stopped, Membership::Out) => Action::Nothing,
        (Wanted::Running, Membership::In) if desired.withheld || desired.failed => Action::Unload,
        (Wanted::Running, Membership::Out) if desired.withheld || desired.failed || !desired.admitted => {
            Action::Nothing
        }
        // What its peers have told is kept before it waits: nobody may be there to tell it again.
        (Wanted::Running, Membership::In) if !desired.admitted => {
            let is_new = !desired.has_metainfo && observed.offers_metainfo;
            if is_new { Action::StoreMetainfo } else { Action::Unload }
        }
        (Wanted::Running, _) if desired.has_metainfo && !desired.has_path => Action::AssignPath,
        (Wanted::Running, Membership::Out) => Action::Add,
        (Wanted::Running, Membership::In) => plan_member(desired, observed),
    }
}

fn plan_member(desired: &Desired, observed: &Observed) -> Action {
    if !desired.has_metainfo {
        if observed.offers_metainfo {
            return Action::StoreMetainfo;
        }
    } else if !observed.in_place || observed.conflict {
        return Action::Unload;
    } else if observed.selection_version != Some(desired.selection_version) {
        return Action::Select;
    }
    if observed.limits == desired.limits { Action::Nothing } else { Action::SetLimits }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Desired = Desired {
        wanted: Wanted::Running,
        failed: false,
        has_metainfo: true,
        has_path: true,
        selection_version: 1,
        limits: RateLimits { download: None, upload: None },
        withheld: false,
        admitted: true,
    };
    const MEMBER: Observed = Observed {
        membership: Membership::In,
        offers_metainfo: false,
        in_place: true,
        selection_version: Some(1),
        limits: RateLimits { download: None, upload: None },
        conflict: false,
    };
    const OUT: Observed = Observed { membership: Membership::Out, ..MEMBER };

    #[test]
    fn a_running_torrent_is_made_a_member_once() {
        assert_eq!(plan(&RUNNING, &OUT), Action::Add);
        assert_eq!(plan(&RUNNING, &MEMBER), Action::Nothing);
    }

    #[test]
    fn content_waits_until_the_metainfo_is_stored_and_the_selection_is_in_force() {
        let magnet = Desired { has_metainfo: false, has_path: false, ..RUNNING };
        let fetched = Observed { offers_metainfo: true, selection_version: None, ..MEMBER };
        assert_eq!(plan(&magnet, &Observed { offers_metainfo: false, ..fetched }), Action::Nothing);
        assert_eq!(plan(&magnet, &fetched), Action::StoreMetainfo);
        assert_eq!(plan(&Desired { has_path: false, ..RUNNING }, &fetched), Action::AssignPath);
        assert_eq!(plan(&RUNNING, &fetched), Action::Select);
    }

    #[test]
    fn a_magnet_whose_plain_path_is_taken_is_added_again_elsewhere() {
        let misplaced = Observed { in_place: false, selection_version: None, ..MEMBER };
        assert_eq!(plan(&RUNNING, &misplaced), Action::Unload);
    }

    #[test]
    fn of_two_members_in_conflict_the_one_that_goes_on_is_added_again_from_its_metainfo() {
        let fetched = Observed { offers_metainfo: true, selection_version: None, conflict: true, ..MEMBER };
        assert_eq!(
            plan(&Desired { has_metainfo: false, has_path: false, ..RUNNING }, &fetched),
            Action::StoreMetainfo
        );
        assert_eq!(plan(&Desired { has_path: false, ..RUNNING }, &fetched), Action::AssignPath);
        assert_eq!(plan(&RUNNING, &fetched), Action::Unload);
        assert_eq!(plan(&Desired { failed: true, ..RUNNING }, &fetched), Action::Unload);
    }

    #[test]
    fn a_stopped_failed_or_withheld_torrent_is_no_member() {
        for desired in [
            Desired { wanted: Wanted::Stopped, ..RUNNING },
            Desired { failed: true, ..RUNNING },
            Desired { withheld: true, ..RUNNING },
        ] {
            assert_eq!(plan(&desired, &MEMBER), Action::Unload);
            assert_eq!(plan(&desired, &OUT), Action::Nothing);
        }
    }

    #[test]
    fn a_torrent_whose_turn_has_not_come_is_no_member_and_gets_no_path() {
        let queued = Desired { admitted: false, ..RUNNING };
        assert_eq!(plan(&queued, &MEMBER), Action::Unload);
        assert_eq!(plan(&queued, &OUT), Action::Nothing);
        assert_eq!(plan(&Desired { has_path: false, ..queued }, &OUT), Action::Nothing);
        assert_eq!(plan(&Desired { has_path: false, ..queued }, &MEMBER), Action::Unload);
    }

    #[test]
    fn a_magnet_whose_turn_is_over_keeps_the_metainfo_that_it_has_fetched() {
        let magnet = Desired { has_metainfo: false, has_path: false, admitted: false, ..RUNNING };
        let fetched = Observed { offers_metainfo: true, selection_version: None, ..MEMBER };
        assert_eq!(plan(&magnet, &fetched), Action::StoreMetainfo);
        assert_eq!(plan(&Desired { has_metainfo: true, ..magnet }, &fetched), Action::Unload);
        assert_eq!(plan(&magnet, &Observed { offers_metainfo: false, ..fetched }), Action::Unload);
        assert_eq!(plan(&Desired { failed: true, ..magnet }, &fetched), Action::Unload);
    }

    #[test]
    fn a_tombstone_is_removed_whether_it_is_a_member_or_not() {
        let tombstone = Desired { wanted: Wanted::Removed { delete_data: true }, ..RUNNING };
        assert_eq!(plan(&tombstone, &MEMBER), Action::Remove);
        assert_eq!(plan(&tombstone, &OUT), Action::Remove);
    }
}
