//! Calls to the server: one client per command, one request id for all its calls.

use std::{error::Error, net::IpAddr, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use revaer_api_models::{
    API_KEY_HEADER, ApiKeyToken, PROBLEM_CONTENT_TYPE, Problem, REQUEST_ID_HEADER, RequestId,
    SETUP_TOKEN_HEADER,
};
use serde::de::DeserializeOwned;

use crate::{environment::Traceparent, error::CliError, next_step::in_commands, values::ApiUrl};

/// No answer is longer: a torrent with a million files fits.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// How a call proves who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Auth<'a> {
    /// Not at all.
    None,
    /// With the API key, which there must be.
    Key,
    /// With the API key if there is one.
    KeyIfAny,
    /// With this key, whichever the command was given.
    As(&'a ApiKeyToken),
    /// With the setup token.
    SetupToken(&'a str),
}

/// What identifies a command to the server.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The API key, where one was found.
    pub(crate) key: Option<ApiKeyToken>,
    /// The id of all calls of this command.
    pub(crate) request_id: RequestId,
    /// The trace that the command is a part of.
    pub(crate) traceparent: Option<Traceparent>,
}

/// The server, as one command sees it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: ApiUrl,
    identity: Identity,
    timeout: Duration,
}

/// An answer that is no problem.
#[derive(Debug)]
pub(crate) struct Answer {
    url: String,
    body: String,
}

impl Answer {
    /// The body as it came.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// The body as what it should be.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        serde_json::from_str(&self.body).map_err(|error| CliError::Answer {
            url: self.url.clone(),
            reason: format!("the answer is not what was asked for: {error}"),
        })
    }
}

impl Client {
    /// Prepares for calls; nothing is sent yet.
    pub(crate) fn new(url: ApiUrl, identity: Identity, timeout: Duration) -> Result<Self, CliError> {
        let http = build_http(url.as_url(), timeout)
            .map_err(|error| CliError::Host(format!("no http client: {}", innermost(&error))))?;
        Ok(Self { http, url, identity, timeout })
    }

    /// A request with everything but its proof and body.
    pub(crate) fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        self.http.request(method, self.url.join(path, query))
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn call(&self, request: RequestBuilder, auth: Auth<'_>) -> Result<Answer, CliError> {
        let request = request.headers(self.headers(auth)?).timeout(self.timeout);
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        self.answer(response).await
    }

    /// Sends a request whose answer does not end; only the wait for its beginning is limited.
    pub(crate) async fn open(&self, request: RequestBuilder, auth: Auth<'_>) -> Result<Response, CliError> {
        let request = request.headers(self.headers(auth)?);
        let response = tokio::time::timeout(self.timeout, request.send())
            .await
            .map_err(|_| self.timed_out())?
            .map_err(|error| self.failed(&error))?;
        if !response.status().is_success() {
            self.answer(response).await?;
            return Err(self.not_understood("it neither streams nor says why not"));
        }
        Ok(response)
    }

    /// Something answered, but not like Revaer.
    pub(crate) fn not_understood(&self, reason: impl Into<String>) -> CliError {
        CliError::Answer { url: self.url.to_string(), reason: reason.into() }
    }

    fn headers(&self, auth: Auth<'_>) -> Result<HeaderMap, CliError> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: &str, secret: bool| match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(secret);
                headers.insert(HeaderName::from_static(name), value);
                Ok(())
            }
            Err(_) => {
                Err(CliError::Input(format!("the value for {name} has characters that no header takes")))
            }
        };
        add(REQUEST_ID_HEADER, self.identity.request_id.as_str(), false)?;
        if let Some(traceparent) = &self.identity.traceparent {
            add("traceparent", traceparent.as_str(), false)?;
        }
        match (auth, &self.identity.key) {
            (Auth::None, _) | (Auth::KeyIfAny, None) => {}
            (Auth::Key | Auth::KeyIfAny, Some(key)) | (Auth::As(key), _) => {
                add(API_KEY_HEADER, &key.expose(), true)?;
            }
            (Auth::SetupToken(token), _) => add(SETUP_TOKEN_HEADER, token, true)?,
            (Auth::Key, None) => {
                return Err(CliError::Input(
                    "no api key; set REVAER_API_KEY, name a file that holds one with --key-file, \
                     or set the server up with `revaer setup start` and `revaer setup complete`"
                        .to_owned(),
                ));
            }
        }
        Ok(headers)
    }

    async fn answer(&self, mut response: Response) -> Result<Answer, CliError> {
        let status = response.status();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_problem = content_type.is_some_and(|value| value.starts_with(PROBLEM_CONTENT_TYPE));
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.not_understood(format!("it is longer than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            let body = String::from_utf8(bytes).map_err(|_| self.not_understood("it is not UTF-8"))?;
            return Ok(Answer { url: self.url.to_string(), body });
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(mut problem) if is_problem => {
                problem.status = status.as_u16();
                problem.detail = problem.detail.as_deref().map(in_commands);
                for param in &mut problem.invalid_params {
                    param.message = in_commands(&param.message);
                }
                Err(CliError::Problem(Box::new(problem)))
            }
            _ => Err(self.not_understood(format!("it answers {status} without a problem document"))),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> CliError {
        if error.is_timeout() && !error.is_connect() {
            return self.timed_out();
        }
        let url = self.url.to_string();
        let reason = innermost(error);
        if error.is_connect() || error.is_builder() {
            CliError::Unreachable { url, reason }
        } else {
            CliError::Lost { url, reason, hint: "try again".to_owned() }
        }
    }

    fn timed_out(&self) -> CliError {
        CliError::Lost {
            url: self.url.to_string(),
            reason: format!("no answer within {} s", self.timeout.as_secs()),
            hint: "try again, or allow more with --timeout".to_owned(),
        }
    }
}

/// An HTTP client for one address: no redirects, no proxy on this host.
pub(crate) fn build_http(url: &Url, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    // A second command in one process would find a provider installed already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    // No redirects: the API has none, and a redirect would carry the key to whoever it names.
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("revaer-cli/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(timeout);
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    if url.scheme() != "https" {
        // A host without CA certificates must still be able to speak to its own server.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// Whether an address never leaves this host, so that no proxy may stand in between.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The cause at the end of the chain: what the system said.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognized() {
        for text in ["http://127.0.0.1:7070", "http://[::1]:7070", "http://LOCALHOST", "http://127.9.9.9"] {
            assert!(is_loopback(&text.parse().unwrap()), "{text}");
        }
        for text in ["http://10.0.0.1", "http://localhost.example", "https://[2001:db8::1]"] {
            assert!(!is_loopback(&text.parse().unwrap()), "{text}");
        }
    }
}
