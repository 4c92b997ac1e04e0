//! A torrent to be added as `multipart/form-data`: the file part `torrent`, and the members of the JSON form in one
//! JSON part `options` or as text parts. Parts are read as they come, each within its limit.

use std::sync::Arc;

use axum::extract::{
    DefaultBodyLimit, FromRequest as _, Multipart, Request,
    multipart::{Field, MultipartError},
};
use serde_json::{Map, Value};

use crate::{
    http::{body, faults::Faults, members::pointer, problem::Reject},
    torrents::source::{TORRENT_LIMIT, too_large},
};

/// Members whose part is their text; the others' parts are JSON.
const TEXTS: [&str; 5] = ["magnet", "metainfo", "id", "name", "download_dir"];
/// Members whose part is JSON.
const JSON: [&str; 10] = [
    "sequential",
    "tags",
    "trackers",
    "include",
    "exclude",
    "skip_fluff",
    "max_download_bps",
    "max_upload_bps",
    "paused",
    "seed_mode",
];

/// What the parts came to.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// The members, as the JSON form has them.
    pub(crate) object: Map<String, Value>,
    /// The .torrent.
    pub(crate) torrent: Option<Arc<[u8]>>,
}

impl Form {
    /// Reads a multipart body of at most `limit` bytes.
    pub(crate) async fn read(
        mut request: Request,
        limit: usize,
        faults: &mut Faults,
    ) -> Result<Self, Reject> {
        DefaultBodyLimit::max(limit).apply(&mut request);
        let mut parts = Multipart::from_request(request, &())
            .await
            .map_err(|_| Reject::bad_request("the multipart body names no boundary"))?;
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|error| refused(&error, limit))? {
            let Some(name) = part.name().map(ToOwned::to_owned) else {
                return Err(Reject::bad_request("a part of the multipart body has no name"));
            };
            form.take(&name, part, limit, faults).await?;
        }
        Ok(form)
    }

    async fn take(
        &mut self,
        name: &str,
        part: Field<'_>,
        limit: usize,
        faults: &mut Faults,
    ) -> Result<(), Reject> {
        match name {
            "torrent" if self.torrent.is_some() => faults.add("/torrent", "is given more than once"),
            "torrent" => self.torrent = Some(read_torrent(part, limit).await?),
            "options" => match body::parse(&read(part, limit).await?)? {
                Value::Object(options) => {
                    for (name, value) in options {
                        self.put(name, value, faults);
                    }
                }
                _ => faults.add("/options", "must be a JSON object"),
            },
            _ => {
                let value = match value_of(name, part, limit).await? {
                    Ok(value) => value,
                    Err(message) => {
                        faults.add(pointer(name), message);
                        return Ok(());
                    }
                };
                self.put(name.to_owned(), value, faults);
            }
        }
        Ok(())
    }

    fn put(&mut self, name: String, value: Value, faults: &mut Faults) {
        if self.object.contains_key(&name) {
            faults.add(pointer(&name), "is given more than once");
        } else {
            self.object.insert(name, value);
        }
    }
}

/// A text part as the member's JSON value; the inner error is a fault of the member.
async fn value_of(name: &str, part: Field<'_>, limit: usize) -> Result<Result<Value, String>, Reject> {
    if TEXTS.contains(&name) {
        let text = String::from_utf8(read(part, limit).await?);
        return Ok(text.map(Value::String).map_err(|_| "must be UTF-8".to_owned()));
    }
    if JSON.contains(&name) {
        let text = read(part, limit).await?;
        return Ok(serde_json::from_slice(&text).map_err(|error| format!("must be JSON: {error}")));
    }
    // Its content is passed over; whoever reads the members says that there is no such one.
    Ok(Ok(Value::Null))
}

async fn read_torrent(mut part: Field<'_>, limit: usize) -> Result<Arc<[u8]>, Reject> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|error| refused(&error, limit))? {
        if bytes.len() + chunk.len() > TORRENT_LIMIT {
            return Err(too_large("/torrent"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// The body as a whole is limited, so a part is too.
async fn read(part: Field<'_>, limit: usize) -> Result<Vec<u8>, Reject> {
    part.bytes().await.map(Vec::from).map_err(|error| refused(&error, limit))
}

fn refused(error: &MultipartError, limit: usize) -> Reject {
    if error.status() == 413 {
        return body::too_large(limit);
    }
    Reject::bad_request(format!("the multipart body cannot be read: {}", error.body_text()))
}
