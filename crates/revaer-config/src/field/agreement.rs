//! The rules of the table of settings and the constraints of the database agree, for every setting there is: what the
//! rule takes the database takes, and what the database takes reads back by the rule. Needs a `PostgreSQL` to make a
//! database on (`REVAER_TEST_DATABASE_URL`).

use std::{path::Path, str::FromStr};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{Field, Section};
use crate::{document, rule::Rule, sql::settings};

/// Values tried on each setting.
const TRIED: usize = 60;

/// What settings are made of, good and bad; each is tried as it is and with some characters exchanged.
const TEXTS: [&str; 44] = [
    "",
    "a",
    "revaer",
    "ü",
    "a b",
    "/",
    "/srv/media",
    "/a/../b",
    "/a//b",
    "/a/",
    "relative",
    "/...",
    "0.0.0.0",
    "::1",
    "::ffff:127.0.0.1",
    "10.0.0.0/8",
    "fe80::1%eth0",
    "localhost",
    "nas.local",
    "[::1]",
    "a.",
    "-a",
    "644",
    "0755",
    "022",
    "0888",
    "root",
    "1000",
    "a_b",
    "http://a",
    "https://a.example:8443/announce",
    "udp://t:6969",
    "ftp://a",
    "*.mkv",
    "**/a",
    "[!a-z0-9]?",
    "{a,b}*",
    "[z-a]",
    "\\[x\\]",
    "app_profile.telemetry.*",
    "dht",
    "info",
    "prefer",
    "00000000-0000-0000-0000-000000000001",
];

fn text() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), "[ -~\u{0}\u{1f}\u{7f}\u{85}\u{a0}ü/.*\\[\\]{}\\\\]", 0..3_u8);
    (prop::sample::select(&TEXTS[..]), prop::collection::vec(edit, 0..3)).prop_map(|(seed, edits)| {
        let mut characters: Vec<char> = seed.chars().collect();
        for (place, with, how) in edits {
            let at = place.index(characters.len() + 1);
            let with = with.chars().next().unwrap_or('x');
            match how {
                0 => characters.insert(at, with),
                1 if at < characters.len() => characters[at] = with,
                _ if at < characters.len() => drop(characters.remove(at)),
                _ => {}
            }
        }
        characters.into_iter().collect()
    })
}

fn number(least: i64, most: i64) -> impl Strategy<Value = i64> {
    prop_oneof![
        prop::sample::select(vec![least, most, least.saturating_sub(1), most.saturating_add(1), 0, -1]),
        least..=most,
        any::<i64>()
    ]
}

fn value(rule: &Rule) -> BoxedStrategy<Value> {
    let one = match rule {
        Rule::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Rule::Int(least, most) => number(*least, *most).prop_map(Value::from).boxed(),
        Rule::OneOf(known) => prop::sample::select(known.to_vec()).prop_map(Value::from).boxed(),
        Rule::List(_, inner) => {
            let short = prop::collection::vec(value(inner), 0..4);
            let long = prop::collection::vec(value(inner), 62..67);
            prop_oneof![9 => short, 1 => long].prop_map(Value::from).boxed()
        }
        _ => text().prop_map(Value::from).boxed(),
    };
    let other = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        Just(json!([["a"]])),
        Just(json!(1.5)),
        any::<bool>().prop_map(Value::from),
        text().prop_map(Value::from),
        prop::collection::vec(text(), 0..3).prop_map(Value::from),
        "[x/]{500,5000}".prop_map(Value::from),
    ];
    prop_oneof![3 => one, 1 => other].boxed()
}

struct Database {
    admin: PgConnectOptions,
    name: String,
    connection: PgConnection,
}

impl Database {
    async fn create() -> Self {
        let url = std::env::var("REVAER_TEST_DATABASE_URL").unwrap_or_else(|_| {
            panic!("REVAER_TEST_DATABASE_URL must name a PostgreSQL server on which databases can be made")
        });
        let admin = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("revaer_agreement_{}", std::process::id());
        let mut maker = PgConnection::connect_with(&admin).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut maker).await.unwrap();
        let mut connection = PgConnection::connect_with(&admin.clone().database(&name)).await.unwrap();
        let migrations = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        sqlx::migrate::Migrator::new(migrations).await.unwrap().run(&mut connection).await.unwrap();
        settings::create_missing(&mut connection, "/a", "/b", "/c").await.unwrap();
        Self { admin, name, connection }
    }

    /// The row after an update, or `None` where the database refused it; nothing stays.
    async fn try_value(&mut self, section: Section, field: &Field, value: &Value) -> Option<Value> {
        let (table, column) = (section.table(), field.column);
        let update = format!(
            "UPDATE {table} t SET ({column}) = (SELECT r.{column} FROM jsonb_populate_record(t, $1) r)
            RETURNING to_jsonb(t)"
        );
        let mut transaction = self.connection.begin().await.unwrap();
        let stored = sqlx::query_scalar(AssertSqlSafe(update))
            .bind(json!({column: value}))
            .fetch_one(&mut *transaction)
            .await
            .ok();
        transaction.rollback().await.unwrap();
        stored
    }

    async fn drop(self) {
        self.connection.close().await.unwrap();
        let mut maker = PgConnection::connect_with(&self.admin).await.unwrap();
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut maker).await.unwrap();
    }
}

#[tokio::test]
async fn every_setting_has_the_same_rule_in_the_database() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut database = Database::create().await;
    for section in Section::ALL {
        for field in section.fields().iter().filter(|field| !matches!(field.path, "id" | "mode" | "version"))
        {
            let values = value(&field.rule);
            let (mut taken, mut refused) = (0, 0);
            for _ in 0..TRIED {
                let value = values.new_tree(&mut runner).unwrap().current();
                let by_rule = (field.nullable && value.is_null()) || field.rule.check("", &value).is_ok();
                let stored = database.try_value(section, field, &value).await;
                let path = field.path;
                assert!(
                    !by_rule || stored.is_some(),
                    "{path}: the rule takes {value}, the database does not"
                );
                if let Some(row) = &stored {
                    let read = document::from_row(section, row);
                    assert!(read.is_ok(), "{path}: the database takes {value}, the rule does not: {read:?}");
                }
                taken += usize::from(stored.is_some());
                refused += usize::from(stored.is_none());
            }
            assert!(taken > 0 && refused > 0, "{}: {taken} taken, {refused} refused", field.path);
        }
    }
    database.drop().await;
}
