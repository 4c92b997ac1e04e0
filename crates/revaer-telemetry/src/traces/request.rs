//! Spans of requests, in the words of OpenTelemetry (semantic conventions for HTTP).

use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState},
};
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Exported;

const METHOD: &str = "http.request.method";
const ROUTE: &str = "http.route";
const STATUS: &str = "http.response.status_code";

/// A request, as far as it is exported. While nothing is, it costs one look.
#[derive(Debug)]
pub struct Request(Option<Span>);

impl Request {
    /// `span` is a request's, and `traceparent` (W3C Trace Context) its parent. To be said before the span is entered.
    pub fn begun(span: &Span, method: &'static str, route: Option<&str>, traceparent: Option<&str>) -> Self {
        let exported =
            |dispatch: &Dispatch| dispatch.downcast_ref::<Exported>().is_some_and(|one| one.0.on());
        if span.with_subscriber(|(_, dispatch)| exported(dispatch)) != Some(true) {
            return Self(None);
        }
        if let Some(parent) = traceparent.and_then(parent) {
            // Fails where the export has begun after the span.
            drop(span.set_parent(Context::new().with_remote_span_context(parent)));
        }
        span.set_attribute(METHOD, method);
        if let Some(route) = route {
            span.set_attribute(ROUTE, route.to_owned());
        }
        Self(Some(span.clone()))
    }

    /// The request has been answered with `code`.
    pub fn answered(self, code: u16) {
        let Some(span) = self.0 else { return };
        span.set_attribute(STATUS, i64::from(code));
        if code >= 500 {
            span.set_status(Status::error(""));
        }
    }
}

fn parent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version == "ff" {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

/// A request's span is called by what was asked for, and its fields by their common names.
pub(super) fn named(mut builder: SpanBuilder) -> SpanBuilder {
    let Some(attributes) = &mut builder.attributes else { return builder };
    let text = |attributes: &[KeyValue], name: &str| {
        attributes.iter().find(|one| one.key.as_str() == name).map(|one| one.value.clone())
    };
    let Some(method) = text(attributes, METHOD) else { return builder };
    let route = text(attributes, ROUTE).as_ref().map(|route: &Value| format!(" {}", route.as_str()));
    builder.name = format!("{}{}", method.as_str(), route.unwrap_or_default()).into();
    builder.span_kind = Some(SpanKind::Server);
    // Said already: by the attribute, and by the span's parent.
    attributes.retain(|one| !matches!(one.key.as_str(), "method" | "traceparent"));
    for one in attributes.iter_mut().filter(|one| one.key.as_str() == "path") {
        one.key = "url.path".into();
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_taken_in_its_own_form_only() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parent(good).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        for bad in [
            "",
            "00-xyz",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert!(parent(bad).is_none(), "{bad}");
        }
    }
}
