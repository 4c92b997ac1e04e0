//! Many clients at once: revisions in one order, each with its own history, and no update lost.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use revaer_e2e::api::Api;
use revaer_e2e::app::Options;
use revaer_e2e::db::Database;
use revaer_e2e::stage::{Server, unhurried_key};
use serde_json::{Value, json};

const CLIENTS: u64 = 10;
const CHANGES_EACH: u64 = 20;

/// A change that the server says it made.
#[derive(Debug)]
struct Made {
    /// From the answer.
    revision: i64,
    /// From the answer's header: names the change in the history.
    request: String,
    /// What was asked for.
    change: Value,
}

#[derive(Debug, Default)]
struct Tally {
    made: Vec<Made>,
    /// Changes of [`COUNTER`] among them.
    counted: u64,
    conflicts: u64,
    refused: u64,
}

/// Raised by one, with `If-Match`, by every client.
const COUNTER: &str = "/engine_profile/max_upload_bps";
const COUNTER_START: u64 = 1_000_000;

async fn send(api: &Api, change: &Value, if_match: Option<&Value>, tally: &mut Tally) -> Result<bool> {
    let tag = if_match.map(|revision| format!("\"{revision}\""));
    let headers: Vec<(&str, &str)> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
    let answer = api.patch_with("/admin/settings", change, &headers).await?;
    match answer.status {
        200 => {
            let request = answer.headers.get("x-request-id").context("an answer without x-request-id")?;
            let request = request.to_str()?.to_owned();
            let revision = answer.body["revision"].as_i64().context("an answer without a revision")?;
            tally.made.push(Made { revision, request, change: change.clone() });
            Ok(true)
        }
        409 if if_match.is_some() || change["app_profile"]["version"].is_u64() => {
            tally.conflicts += 1;
            answer.expect_problem(409, "conflict")?;
            Ok(false)
        }
        422 => {
            tally.refused += 1;
            answer.expect_problem(422, "config-invalid")?;
            Ok(false)
        }
        _ => bail!("{change} with if-match {if_match:?} answered {}: {}", answer.status, answer.body),
    }
}

async fn client(api: Api, number: u64) -> Result<Tally> {
    let mut tally = Tally::default();
    for turn in 0..CHANGES_EACH {
        let value = 10_000 + number * CHANGES_EACH + turn;
        match turn % 5 {
            // Unconditional, a value that no other change has.
            0 => {
                let change = json!({ "fs_policy": { "job_age_limit_seconds": value } });
                assert!(send(&api, &change, None, &mut tally).await?);
            }
            // Read, raised by one, written only if nothing was changed meanwhile.
            1 | 3 => {
                let seen = api.get("/admin/settings").await?.expect(200)?;
                let next = seen.pointer(COUNTER).and_then(Value::as_u64).context("no counter")? + 1;
                let change = json!({ "engine_profile": { "max_upload_bps": next } });
                tally.counted += u64::from(send(&api, &change, Some(&seen["revision"]), &mut tally).await?);
            }
            // Two sections at once, on the profile's own version.
            2 => {
                let seen = api.get("/admin/settings").await?.expect(200)?;
                let change = json!({
                    "app_profile": {
                        "version": seen["app_profile"]["version"],
                        "telemetry": { "event_retention_rows": value },
                    },
                    "fs_policy": { "step_latency_limit_seconds": value },
                });
                send(&api, &change, None, &mut tally).await?;
            }
            // Half right: none of it may be made.
            _ => {
                let change = json!({
                    "fs_policy": { "job_age_limit_seconds": 1 },
                    "app_profile": { "http_port": 0, "instance_name": "" },
                });
                assert!(!send(&api, &change, None, &mut tally).await?);
            }
        }
    }
    Ok(tally)
}

/// A row of the history: old and new hold what it wrote.
struct Row {
    revision: i64,
    section: String,
    request: String,
    old: Value,
    new: Value,
}

async fn history_after(server: &Server, revision: i64) -> Result<Vec<Row>> {
    let rows = server
        .app
        .sql(&format!(
            "SELECT revision, section, request_id, old, new FROM settings_history WHERE revision > {revision} ORDER BY id"
        ))
        .await?;
    rows.into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || cells.next().context("too few cells");
            Ok(Row {
                revision: next()?.parse()?,
                section: next()?,
                request: next()?,
                old: serde_json::from_str(&next()?)?,
                new: serde_json::from_str(&next()?)?,
            })
        })
        .collect()
}

/// What differs between two rows, without the counter that every change of the profile raises.
fn difference(row: &Row) -> BTreeMap<String, Value> {
    let empty = serde_json::Map::new();
    let (old, new) = (row.old.as_object().unwrap_or(&empty), row.new.as_object().unwrap_or(&empty));
    new.iter()
        .filter(|(name, value)| old.get(*name) != Some(*value) && *name != "version")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The columns of a section that a change asks for.
fn asked(change: &Value, section: &str) -> BTreeMap<String, Value> {
    let mut asked = BTreeMap::new();
    for (name, value) in
        change[section].as_object().into_iter().flatten().filter(|(name, _)| *name != "version")
    {
        match value {
            Value::Object(map) => {
                asked.extend(map.iter().map(|(key, value)| (format!("{name}_{key}"), value.clone())));
            }
            plain => {
                asked.insert(name.clone(), plain.clone());
            }
        }
    }
    asked
}

#[tokio::test]
async fn two_hundred_concurrent_patches_are_one_revision_each_with_its_history_and_none_is_lost() -> Result<()>
{
    let database = Database::create().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let mut settings = unhurried_key();
    settings["engine_profile"] = json!({ "max_upload_bps": COUNTER_START });
    let server = Server::start_with(options, &settings).await?;
    let before = server.settings().await?;
    let first = before["revision"].as_i64().context("no revision")?;

    let clients = (0..CLIENTS).map(|number| Ok(client(server.api.fresh()?, number)));
    let tallies = try_join_all(clients.collect::<Result<Vec<_>>>()?).await?;
    let (mut made, mut counted, mut conflicts, mut refused) = (Vec::new(), 0, 0, 0);
    for tally in tallies {
        made.extend(tally.made);
        counted += tally.counted;
        conflicts += tally.conflicts;
        refused += tally.refused;
    }
    eprintln!("{} made, {conflicts} conflicts, {refused} refused", made.len());
    assert_eq!(made.len() as u64 + conflicts + refused, CLIENTS * CHANGES_EACH);
    assert_eq!(refused, CLIENTS * CHANGES_EACH / 5);
    assert!(conflicts > 0, "nothing conflicted: the clients did not meet");

    // One revision for each committed change, and none besides.
    made.sort_by_key(|made| made.revision);
    let revisions: Vec<i64> = made.iter().map(|made| made.revision).collect();
    let expected: Vec<i64> = (first + 1..=first + i64::try_from(made.len())?).collect();
    assert_eq!(revisions, expected);
    let after = server.settings().await?;
    assert_eq!(after["revision"].as_i64(), expected.last().copied());

    // Each history row equals its change, and goes on where the one before it ended.
    let history = history_after(&server, first).await?;
    let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
    for row in &history {
        if let Some(was) = last.insert(&row.section, &row.new) {
            assert_eq!(
                was, &row.old,
                "{} of revision {} starts from something else",
                row.section, row.revision
            );
        }
    }
    for made in &made {
        let rows: Vec<&Row> = history.iter().filter(|row| row.revision == made.revision).collect();
        assert!(!rows.is_empty(), "{made:?} has no history");
        let sections: Vec<&str> = rows.iter().map(|row| row.section.as_str()).collect();
        let wanted: Vec<&String> =
            made.change.as_object().into_iter().flat_map(|object| object.keys()).collect();
        assert_eq!(sections.len(), wanted.len(), "{made:?} has the history {sections:?}");
        for row in rows {
            assert_eq!(row.request, made.request, "{made:?}");
            assert_eq!(difference(row), asked(&made.change, &row.section), "{made:?}");
        }
    }
    assert!(history.iter().all(|row| expected.contains(&row.revision)));

    // No update is lost: the counter counted every one that was accepted.
    let counter = after.pointer(COUNTER).and_then(Value::as_u64);
    assert_eq!(counter, Some(COUNTER_START + counted));
    assert!(counted > 0);
    Ok(())
}
