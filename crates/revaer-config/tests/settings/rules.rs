//! The rules stand twice, in the server and in the database: both take the same values.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{Fixture, context};

fn app_profile() -> Value {
    json!({
        "instance_name": {
            "taken": ["a ü", "ü".repeat(128)],
            "refused": ["", "x".repeat(129), "a\u{85}", "a\nb", null],
        },
        "http_port": {"taken": [1, 65_535], "refused": [0, 65_536, -1, null]},
        "bind_addr": {"taken": ["0.0.0.0", "::ffff:127.0.0.1"], "refused": ["10.0.0.0/8", "localhost", "::1/64"]},
        "cors_origins": {
            "taken": [["https://a.example:8443", "http://[::1]:80", "http://a"], []],
            "refused": [["*"], ["https://a/"], ["ftp://a"], ["http://a:123456"], [null], null],
        },
        "allowed_hosts": {
            "taken": [["nas.local", "[::1]", "10.0.0.1", "a_b"]],
            "refused": [["a:1"], [""], ["-a"], ["a."], ["::1"]],
        },
        "immutable_keys": {
            "taken": [["dht", "app_profile.telemetry.*"]],
            "refused": [["a..b"], ["A"], ["*"], ["a.b.c.d"]],
        },
    })
}

fn engine_profile() -> Value {
    json!({
        "max_download_bps": {
            "taken": [0, 9_007_199_254_740_991_i64, null],
            "refused": [-1, 9_007_199_254_740_992_i64],
        },
        "max_active": {"taken": [0, 2_147_483_647, null], "refused": [-1, 2_147_483_648_i64]},
        "listen_port": {"taken": [1, null], "refused": [0, 65_536]},
        "listen_interfaces": {
            "taken": [null, ["127.0.0.1", "fe80::1"]],
            "refused": [[], ["10.0.0.0/8"], [null]],
        },
        "encryption": {"taken": ["require", "disable"], "refused": ["Require", "", null]},
        "resume_save_seconds": {"taken": [1, 86_400], "refused": [0, 86_401, null]},
        "dht": {"taken": [true, false], "refused": [null]},
    })
}

fn fs_policy() -> Value {
    json!({
        "chmod_file": {"taken": ["644", "0755", null], "refused": ["64", "0888", "00644", ""]},
        "umask": {"taken": ["022", "0077"], "refused": ["1022", "22", "089"]},
        "owner": {"taken": ["root", "0", "123456789"], "refused": ["a b", "-a", "1234567890", ""]},
        "move_mode": {"taken": ["copy", "move"], "refused": ["link", null]},
        "par2": {"taken": ["off", "verify", "repair"], "refused": ["on", null]},
        "allow_paths": {
            "taken": [[], ["/", "/tmp/a b", "/tmp/..."]],
            "refused": [["a"], ["/a/"], ["/a//b"], ["/a/../b"], ["/."], ["/a\u{1}"], [""],
                [format!("/{}", "x".repeat(4096))], vec!["/a"; 65]],
        },
        "cleanup_drop": {
            "taken": [["*.mkv"], ["**/a"], ["[!a-z0-9]?"], ["{a,b}*.{c,d}"], [r"\[x\]"], ["a-b"], ["ü*"], ["[^a]"]],
            "refused": [[""], ["["], ["[]"], ["[z-a]"], ["{a"], ["a}"], ["a]"], ["\\"], ["{a{b}}"], ["[a-b-c]"],
                ["[-a]"], ["[a-]"], ["a\n"], ["[!]"], ["[a/b]"], ["[\\]]"], ["x".repeat(513)]],
        },
        "job_age_limit_seconds": {"taken": [0], "refused": [-1, null]},
    })
}

#[tokio::test]
async fn the_database_and_the_rules_take_the_same_values() {
    let (fixture, _) = Fixture::active().await;
    let sections =
        [("app_profile", app_profile()), ("engine_profile", engine_profile()), ("fs_policy", fs_policy())];
    for (section, fields) in sections {
        for (field, cases) in fields.as_object().unwrap() {
            for taken in [true, false] {
                let cases = &cases[if taken { "taken" } else { "refused" }];
                for value in cases.as_array().unwrap() {
                    check(&fixture, section, field, value, taken).await;
                }
            }
        }
    }
}

async fn check(fixture: &Fixture, section: &str, field: &str, value: &Value, taken: bool) {
    // Every setting named here has its own name as its column.
    let statement = format!(
        "UPDATE settings_{section} t SET ({field}) =
            (SELECT r.{field} FROM jsonb_populate_record(t, $1) r) WHERE t.singleton"
    );
    let mut transaction = fixture.pool.begin().await.unwrap();
    let stored =
        sqlx::query(AssertSqlSafe(statement)).bind(json!({field: value})).execute(&mut *transaction).await;
    transaction.rollback().await.unwrap();
    assert_eq!(stored.is_ok(), taken, "the database on {field} = {value}: {stored:?}");

    // What an earlier case locked would hide the rule.
    let unlock = "UPDATE settings_app_profile SET immutable_keys = '{}';
        UPDATE settings_fs_policy SET allow_paths = '{}'";
    fixture.sql(unlock).await.unwrap();
    let before = fixture.stored_revision().await;
    let applied = fixture.service.apply(json!({section: {field: value}}), context()).await;
    assert_eq!(applied.is_ok(), taken, "the rules on {field} = {value}: {:?}", applied.err());
    if let Ok(applied) = applied {
        assert_eq!(&applied.snapshot.to_wire()[section][field], value, "stored as it was given");
    } else {
        assert_eq!(fixture.stored_revision().await, before);
    }
}
