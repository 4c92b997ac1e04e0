//! The tables `events` and `event_log_state`.

use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Envelope, Event, EventFilter};

/// Leases `block` numbers above `floor` and above every lease before, and returns the last of them.
pub(crate) async fn lease(connection: &mut PgConnection, floor: u64, block: u64) -> Result<u64, sqlx::Error> {
    let through = sqlx::query_scalar!(
        "UPDATE event_log_state SET leased_through = greatest(leased_through, $1) + $2 RETURNING leased_through",
        signed(floor),
        signed(block)
    )
    .fetch_one(connection)
    .await?;
    Ok(unsigned(through))
}

/// Stores lifecycle events; `progress` is left out.
pub async fn events_insert(connection: &mut PgConnection, events: &[Envelope]) -> Result<(), sqlx::Error> {
    let durable: Vec<&Envelope> = events.iter().filter(|one| one.event.is_durable()).collect();
    if durable.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = durable.iter().map(|one| signed(one.id)).collect();
    let times: Vec<OffsetDateTime> = durable.iter().map(|one| one.at).collect();
    let kinds: Vec<String> = durable.iter().map(|one| one.event.kind().to_owned()).collect();
    let torrents: Vec<Option<Uuid>> =
        durable.iter().map(|one| one.event.torrent().map(revaer_torrent_core::TorrentId::as_uuid)).collect();
    let requests: Vec<Option<String>> = durable.iter().map(|one| one.request_id.clone()).collect();
    let payloads = durable
        .iter()
        .map(|one| serde_json::to_value(&one.event).map(storable))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query!(
        "INSERT INTO events (id, at, kind, torrent_id, request_id, payload)
         SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::uuid[], $5::text[], $6::jsonb[])",
        &ids,
        &times,
        &kinds,
        &torrents as &[Option<Uuid>],
        &requests as &[Option<String>],
        &payloads
    )
    .execute(connection)
    .await
    .map(drop)
}

/// A piece of the durable log.
#[derive(Debug)]
pub(crate) struct Page {
    /// What a reader may want, oldest first.
    pub(crate) events: Vec<Envelope>,
    /// The number up to which it was looked through.
    pub(crate) through: u64,
}

/// How much of the durable log is read at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSize {
    /// Events that are looked through.
    pub(crate) events: i64,
    /// Bytes, as stored, after which no further payload is read.
    pub(crate) bytes: i64,
}

/// Lifecycle events after `after`, up to `end`, of the kinds and torrents that `filter` names.
///
/// Of what the filter hides, only the number is read. The size of a payload is seen without unpacking it: PostgreSQL
/// compresses long ones, lists of files to less than half.
pub(crate) async fn events_between(
    connection: &mut PgConnection,
    after: u64,
    end: u64,
    filter: &EventFilter,
    size: PageSize,
) -> Result<Page, sqlx::Error> {
    let kinds: Vec<String> = filter.kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let torrents: Vec<Uuid> = filter.torrents.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", at AS "at!", request_id, payload AS "payload?: Json<Event>"
           FROM (SELECT id, at, request_id, payload,
                        sum(pg_column_size(payload))
                            OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                 FROM (SELECT id, at, request_id,
                              CASE WHEN (cardinality($4::text[]) = 0 OR kind = ANY ($4))
                                    AND (cardinality($5::uuid[]) = 0 OR torrent_id IS NULL OR torrent_id = ANY ($5))
                                   THEN payload END AS payload
                       FROM events WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) AS seen) AS weighed
           WHERE coalesce(before, 0) < $6 ORDER BY id"#,
        signed(after),
        signed(end),
        size.events,
        &kinds,
        &torrents,
        size.bytes
    )
    .fetch_all(connection)
    .await?;
    let through = rows.last().map_or(end, |row| unsigned(row.id));
    let events = rows
        .into_iter()
        .filter_map(|row| {
            let Json(event) = row.payload?;
            Some(Envelope { id: unsigned(row.id), at: row.at, request_id: row.request_id, event })
        })
        .collect();
    Ok(Page { events, through })
}

/// The number up to which retention has dropped events.
pub(crate) async fn pruned_through(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    sqlx::query_scalar!("SELECT pruned_through FROM event_log_state")
        .fetch_one(connection)
        .await
        .map(unsigned)
}

/// Drops the oldest events that are before `before` or exceed `most` rows, at most 5,000 at a time. Returns how many.
///
/// What is dropped is always the log's beginning, so that a reader knows by its position alone what it has missed;
/// an event whose clock ran ahead goes with those around it.
pub async fn events_prune(
    connection: &mut PgConnection,
    before: OffsetDateTime,
    most: u64,
) -> Result<u64, sqlx::Error> {
    let dropped = sqlx::query_scalar!(
        r#"WITH oldest AS MATERIALIZED (SELECT id, at FROM events ORDER BY id LIMIT 5000),
                beyond AS (SELECT id FROM events ORDER BY id DESC OFFSET $2 LIMIT 1),
                bound AS (SELECT max(id) AS id FROM oldest
                          WHERE at < $1 OR id <= (SELECT id FROM beyond)),
                dropped AS (DELETE FROM events WHERE id <= (SELECT id FROM bound) RETURNING id),
                moved AS (UPDATE event_log_state SET pruned_through = greatest(pruned_through, bound.id)
                          FROM bound WHERE bound.id IS NOT NULL)
           SELECT count(*) AS "count!" FROM dropped"#,
        before,
        signed(most)
    )
    .fetch_one(connection)
    .await?;
    Ok(unsigned(dropped))
}

/// The settings revision up to which `settings_changed` has been logged.
pub async fn settings_revision(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("SELECT settings_revision FROM event_log_state").fetch_one(connection).await
}

/// Remembers that `settings_changed` has been logged up to `revision`.
pub async fn settings_revision_put(connection: &mut PgConnection, revision: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE event_log_state SET settings_revision = $1", revision)
        .execute(connection)
        .await
        .map(drop)
}

/// Numbers stay below 2^53, by a CHECK of the table.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The database's texts cannot hold U+0000, which a hostile name may bring: one event must not keep a batch from
/// being stored.
fn storable(mut payload: serde_json::Value) -> serde_json::Value {
    fn clean(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
            serde_json::Value::Array(all) => all.iter_mut().for_each(clean),
            serde_json::Value::Object(members) => members.values_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut payload);
    payload
}
