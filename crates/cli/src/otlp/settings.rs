//! What is wanted, of options and of OpenTelemetry's variables (the specification, *OTLP exporter* and *Environment variables*). Pure.
//!
//! An option goes before a variable of metrics alone, and that before one of all kinds of data. A variable that is empty is none. One
//! with a number that cannot be meant is warned of and left out, as the specification has it.

use super::endpoint::Endpoint;
use super::pairs;
use crate::error::{Error, Result};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Where collectors listen unless they are told otherwise.
const ENDPOINT: &str = "http://localhost:4318/v1/metrics";
/// How often metrics are sent (`OTEL_METRIC_EXPORT_INTERVAL`).
const EVERY: Duration = Duration::from_secs(60);
/// How long a request may take (`OTEL_EXPORTER_OTLP_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(10);
/// What an interval and a timeout may be.
const BOUNDS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);

/// Headers that are ours: another value would break the request.
const OWN_HEADERS: [&str; 6] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// `--endpoint`.
    pub endpoint: Option<String>,
    /// `--header`.
    pub headers: Vec<String>,
    /// `--every`, in seconds.
    pub every: Option<u64>,
}

/// See the module's header.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to.
    pub endpoint: Endpoint,
    /// With which headers beside our own.
    pub headers: HeaderMap,
    /// How often.
    pub every: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// What is said of each resource beside.
    pub attributes: Vec<(String, String)>,
    /// What could not be understood and was left out.
    pub warnings: Vec<String>,
}

impl Settings {
    /// From what was typed and the variables that `variable` looks up.
    pub fn new<'a>(typed: &Typed, variable: impl Fn(&str) -> Option<&'a str>) -> Result<Self> {
        let set = |name: &str| variable(name).map(str::trim).filter(|value| !value.is_empty());
        let mut warnings = Vec::new();
        let mut millis = |names: &[&str]| milliseconds(names, &set, &mut warnings);
        let every = typed
            .every
            .map(Duration::from_secs)
            .or_else(|| millis(&["OTEL_METRIC_EXPORT_INTERVAL"]));
        let timeout = millis(&["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]);
        let attributes = set("OTEL_RESOURCE_ATTRIBUTES").map_or(Ok(Vec::new()), pairs::read);
        let attributes = attributes.unwrap_or_else(|cause| {
            warnings.push(format!("OTEL_RESOURCE_ATTRIBUTES is left out: {cause}"));
            Vec::new()
        });
        let protocol = set("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
        if protocol == Some("grpc") && typed.endpoint.is_none() {
            warnings.push("the environment asks for OTLP over gRPC; what is sent is JSON over HTTP, which collectors take at another port (4318)".to_owned());
        }
        Ok(Self {
            endpoint: endpoint(typed, &set)?,
            headers: headers(typed, &set)?,
            every: every.unwrap_or(EVERY),
            timeout: timeout.unwrap_or(TIMEOUT),
            attributes,
            warnings,
        })
    }
}

fn endpoint<'a>(typed: &Typed, set: &impl Fn(&str) -> Option<&'a str>) -> Result<Endpoint> {
    const METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    match (typed.endpoint.as_deref(), set(METRICS), set(ALL)) {
        (Some(url), _, _) => Endpoint::exact("--endpoint", url),
        (None, Some(url), _) => Endpoint::exact(METRICS, url),
        (None, None, Some(url)) => Endpoint::base(ALL, url),
        (None, None, None) => Endpoint::exact("the endpoint", ENDPOINT),
    }
}

/// Those of all kinds of data, those of metrics, those that were typed; a later one of a name takes the place of an earlier one.
fn headers<'a>(typed: &Typed, set: &impl Fn(&str) -> Option<&'a str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for named in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"] {
        let list = set(named).map_or(Ok(Vec::new()), pairs::read);
        let list = list.map_err(|cause| {
            Error::user(format!("{named} cannot be read: {cause}"))
                .hint("as NAME=VALUE,NAME=VALUE, with values percent-encoded: authorization=Basic%20…")
        })?;
        for (name, value) in list {
            insert(&mut headers, named, &name, &value)?;
        }
    }
    for typed in &typed.headers {
        let (name, value) = typed
            .split_once('=')
            .ok_or_else(|| Error::user("--header has no `=` in it").hint("as --header NAME=VALUE"))?;
        insert(&mut headers, "--header", name.trim(), value)?;
    }
    Ok(headers)
}

/// No value is told: it may be a secret.
fn insert(headers: &mut HeaderMap, named: &str, name: &str, value: &str) -> Result {
    let refused = |cause: &str| {
        Err(Error::user(format!("{named}: \"{name}\" {cause}")).hint("as NAME=VALUE, both of what HTTP has in headers"))
    };
    let Ok(known) = HeaderName::try_from(name) else {
        return refused("is no name of a header");
    };
    if OWN_HEADERS.contains(&known.as_str()) {
        return refused("is set by Ostler itself");
    }
    let Ok(mut value) = HeaderValue::try_from(value) else {
        return refused("has a value that no header can have");
    };
    value.set_sensitive(true);
    headers.insert(known, value);
    Ok(())
}

/// Of the first of these variables that is set.
fn milliseconds<'a>(
    names: &[&str],
    set: &impl Fn(&str) -> Option<&'a str>,
    warnings: &mut Vec<String>,
) -> Option<Duration> {
    let (name, text) = names.iter().find_map(|name| Some((name, set(name)?)))?;
    let duration = text.parse().ok().map(Duration::from_millis);
    let duration = duration.filter(|duration| BOUNDS.contains(duration));
    if duration.is_none() {
        warnings.push(format!(
            "{name} is left out: \"{text}\" is no number of milliseconds from 100 to 86400000"
        ));
    }
    duration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(typed: &Typed, variables: &[(&str, &'static str)]) -> Result<Settings> {
        Settings::new(typed, |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
        })
    }

    fn understood(typed: &Typed, variables: &[(&str, &'static str)]) -> Settings {
        settings(typed, variables).unwrap_or_else(|error| panic!("{variables:?}: {error}"))
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1/base");
    const METRICS: (&str, &str) = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:2/here");

    #[test]
    fn without_a_word_it_is_what_the_specification_has() {
        let settings = understood(&Typed::default(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
        assert_eq!(settings.endpoint.to_string(), "http://localhost:4318/v1/metrics");
        assert_eq!((settings.every, settings.timeout), (EVERY, TIMEOUT));
        assert!(settings.headers.is_empty() && settings.warnings.is_empty());
    }

    #[test]
    fn an_option_goes_before_a_variable_of_metrics_and_that_before_one_of_all() {
        let typed = Typed {
            endpoint: Some("http://typed:3".to_owned()),
            headers: vec!["a=typed".to_owned()],
            every: Some(5),
        };
        let variables = [
            ALL,
            METRICS,
            ("OTEL_EXPORTER_OTLP_HEADERS", "A=all,b=all,c=all"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=metrics,B=me%3Dtrics"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1000"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "7000"),
        ];
        let first = understood(&typed, &variables);
        assert_eq!(first.endpoint.to_string(), "http://typed:3/v1/metrics");
        let header = |name: &str| first.headers[name].to_str().expect("text");
        assert_eq!((header("a"), header("b"), header("c")), ("typed", "me=trics", "all"));
        assert_eq!(
            (first.every, first.timeout),
            (Duration::from_secs(5), Duration::from_secs(1))
        );
        let second = understood(&Typed::default(), &variables);
        assert_eq!(second.endpoint.to_string(), "http://metrics:2/here");
        assert_eq!(second.every, Duration::from_secs(7));
        let third = understood(&Typed::default(), &[ALL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")]);
        assert_eq!(third.endpoint.to_string(), "http://all:1/base/v1/metrics");
        assert_eq!(third.timeout, Duration::from_secs(2));
    }

    #[test]
    fn a_number_that_cannot_be_meant_is_warned_of_and_left_out() {
        for text in ["soon", "0", "-1", "99", "86400001"] {
            let settings = understood(&Typed::default(), &[("OTEL_METRIC_EXPORT_INTERVAL", text)]);
            assert_eq!((settings.every, settings.warnings.len()), (EVERY, 1), "{text}");
        }
    }

    #[test]
    fn attributes_that_cannot_be_read_are_left_out_as_a_whole() {
        let of = |text| understood(&Typed::default(), &[("OTEL_RESOURCE_ATTRIBUTES", text)]);
        let pair = ("deployment.environment.name".to_owned(), "prod eu".to_owned());
        assert_eq!(of("deployment.environment.name=prod%20eu").attributes, [pair]);
        let broken = of("a=1,b");
        assert!(
            broken.attributes.is_empty() && broken.warnings[0].contains("no `=`"),
            "{broken:?}"
        );
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_their_values() {
        for header in [
            "secret",
            "a b=secret",
            "=secret",
            "a=secret\n",
            "Content-Type=secret",
            "host=secret",
        ] {
            let typed = Typed {
                headers: vec![header.to_owned()],
                ..Typed::default()
            };
            let error = settings(&typed, &[]).expect_err(header);
            assert!(!error.message.contains("secret") && !error.hints.is_empty(), "{error}");
        }
        let error = settings(&Typed::default(), &[("OTEL_EXPORTER_OTLP_HEADERS", "secret")]);
        assert!(!error.expect_err("no `=`").message.contains("secret"));
    }

    #[test]
    fn what_asks_for_grpc_is_told_what_it_gets() {
        let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert_eq!(understood(&Typed::default(), &grpc).warnings.len(), 1);
    }
}
