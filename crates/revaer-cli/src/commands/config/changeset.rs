//! What to send for a document: a changeset as it is, a snapshot as the changeset that brings it about. Pure.

use serde_json::{Map, Value};

/// Members of `app_profile` that nobody changes.
const FIXED: [&str; 3] = ["id", "mode", "version"];
/// What answers hold beside the settings; the key of a completed setup among them.
const BESIDE: [&str; 2] = ["notices", "api_key"];

/// The changeset of a document. A snapshot is known by its top-level `revision`.
///
/// Secrets are only named in a snapshot, so that there is nothing to send of them; entries with an `op`, of whoever
/// edited the snapshot, are kept as they are. Unknown members are kept too: the server names each of them.
pub(super) fn of(mut document: Map<String, Value>) -> Map<String, Value> {
    if document.remove("revision").is_none() {
        return document;
    }
    for name in BESIDE {
        document.remove(name);
    }
    if let Some(Value::Object(profile)) = document.get_mut("app_profile") {
        for name in FIXED {
            profile.remove(name);
        }
    }
    if let Some(Value::Array(secrets)) = document.get_mut("secrets") {
        secrets.retain(|secret| !secret.is_string());
    }
    if let Some(Value::Array(keys)) = document.get_mut("api_keys") {
        for key in keys.iter_mut().filter_map(Value::as_object_mut).filter(|key| !key.contains_key("op")) {
            key.remove("created_at");
            key.insert("op".to_owned(), "upsert".into());
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_json(document: Value) -> Value {
        let Value::Object(document) = document else { panic!("no object") };
        Value::Object(of(document))
    }

    #[test]
    fn a_changeset_stays_as_it_is() {
        let changeset = json!({"app_profile": {"version": 3, "id": "x"}, "secrets": ["odd"], "typo": 1});
        assert_eq!(of_json(changeset.clone()), changeset);
    }

    #[test]
    fn a_snapshot_becomes_the_changeset_that_brings_it_about() {
        let snapshot = json!({
            "revision": 7,
            "app_profile": {"id": "x", "mode": "active", "version": 3, "instance_name": "den"},
            "engine_profile": {"max_download_bps": null},
            "fs_policy": {"version": 1},
            "api_keys": [
                {"key_id": "admin", "label": "a", "enabled": true, "rate_limit": null,
                 "created_at": "2025-10-17T12:00:00Z", "expires_at": null},
                {"op": "delete", "key_id": "gone"},
            ],
            "secrets": ["indexer", {"op": "set", "name": "n", "value": "v"}],
            "notices": [],
            "api_key": "admin:s3cret",
            "typo": 1,
        });
        assert_eq!(
            of_json(snapshot),
            json!({
                "app_profile": {"instance_name": "den"},
                "engine_profile": {"max_download_bps": null},
                "fs_policy": {"version": 1},
                "api_keys": [
                    {"op": "upsert", "key_id": "admin", "label": "a", "enabled": true, "rate_limit": null,
                     "expires_at": null},
                    {"op": "delete", "key_id": "gone"},
                ],
                "secrets": [{"op": "set", "name": "n", "value": "v"}],
                "typo": 1,
            })
        );
    }
}
