//! Any changeset that is accepted reads back as it was given, after a restart too.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Fixture, context};

fn bps() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), (0_i64..9_007_199_254_740_992).prop_map(Value::from)]
}

fn changeset() -> impl Strategy<Value = Value> {
    let address = prop_oneof![any::<std::net::IpAddr>().prop_map(|address| json!(address.to_string()))];
    let text = "[ -~\u{a1}-\u{ff}]{1,40}";
    let glob = "[a-z*?.]{1,12}";
    let names = proptest::collection::vec("[a-z]{1,8}(/[a-z ]{1,8}){0,3}", 0..4);
    (address, text, glob, bps(), bps(), names, any::<bool>(), 1_u32..=65_535).prop_map(
        |(address, text, glob, down, up, names, switch, port)| {
            let paths: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
            // Empty, or wide enough for the roots.
            let paths = if paths.is_empty() { paths } else { [paths, vec!["/".to_owned()]].concat() };
            json!({
                "app_profile": {"bind_addr": address, "instance_name": text, "http_port": port,
                    "features": {"par2": switch}},
                "engine_profile": {"max_download_bps": down, "max_upload_bps": up, "dht": switch,
                    "listen_interfaces": [address], "tracker": {"user_agent": text, "announce_ip": address}},
                "fs_policy": {"cleanup_keep": [glob, glob], "allow_paths": paths, "flatten": switch},
            })
        },
    )
}

/// Whether every member of `given` is in `found`.
fn contains(found: &Value, given: &Value) -> bool {
    match given {
        Value::Object(members) => members.iter().all(|(name, value)| contains(&found[name], value)),
        other => found == other,
    }
}

#[test]
fn an_accepted_changeset_reads_back_as_it_was_given() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (fixture, _) = runtime.block_on(Fixture::active());
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(body in changeset())| {
        let applied = runtime.block_on(fixture.service.apply(body.clone(), context())).unwrap().snapshot;
        prop_assert!(contains(&applied.to_wire(), &body), "{body} became {}", applied.to_wire());
        let read = runtime.block_on(fixture.reopened()).snapshot();
        prop_assert_eq!(read.to_wire(), applied.to_wire());
        let again = runtime.block_on(fixture.service.apply(body, context())).unwrap();
        prop_assert!(again.sections.is_empty());
    });
}

/// One thing that is wrong with a changeset, whatever else is in it.
fn spoiled() -> impl Strategy<Value = Value> {
    let section = prop::sample::select(vec!["app_profile", "engine_profile", "fs_policy"]);
    let member = prop_oneof![
        Just(("http_port", json!(0))),
        Just(("bind_addr", json!("nowhere"))),
        Just(("max_download_bps", json!(-1))),
        Just(("library_root", json!("relative"))),
        Just(("allow_paths", json!(["/nowhere/near"]))),
        Just(("immutable_keys", json!(["names.nothing"]))),
        Just(("id", json!("00000000-0000-0000-0000-000000000000"))),
        Just(("mode", json!("setup"))),
        "[a-z_]{1,12}".prop_map(|name| ("no_such", json!(name))),
    ];
    (changeset(), section, member, any::<bool>()).prop_map(|(mut body, section, (name, value), last_key)| {
        body[section][name] = value;
        if last_key {
            body["api_keys"] = json!([{"op": "delete", "key_id": "admin"}]);
        }
        body
    })
}

#[test]
fn a_rejected_changeset_leaves_revision_rows_and_memory_as_they_were() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (fixture, _) = runtime.block_on(Fixture::active());
    let rows = || {
        let all = "SELECT jsonb_build_array((SELECT to_jsonb(r) FROM settings_revision r),
            (SELECT to_jsonb(a) FROM settings_app_profile a), (SELECT to_jsonb(e) FROM settings_engine_profile e),
            (SELECT to_jsonb(f) FROM settings_fs_policy f), (SELECT jsonb_agg(k) FROM auth_api_keys k),
            (SELECT count(*) FROM settings_history))";
        runtime.block_on(sqlx::query_scalar::<_, Value>(all).fetch_one(&fixture.pool)).unwrap()
    };
    let before = (rows(), fixture.service.snapshot().to_wire());
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(body in spoiled())| {
        let refused = runtime.block_on(fixture.service.apply(body.clone(), context()));
        prop_assert!(refused.is_err(), "{body} was taken");
        prop_assert_eq!((rows(), fixture.service.snapshot().to_wire()), before.clone());
    });
}
