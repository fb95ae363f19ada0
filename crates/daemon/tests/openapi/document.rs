//! The document: what each call takes and gives.

use super::schemas::Schemas;
use ostler_core::history::Entry;
use ostler_wire::control::{
    Answer, ApiError, Follow, FrameHeader, History, Operation, Pong, ProcessRows, Processes, Reloads,
};
use ostler_wire::endpoints::{Endpoint, Method, Parameter, ParameterKind};
use ostler_wire::events::{
    LogBegin, LogEvent, LogLagged, LogText, Lost, ProcessState, Reload, ReloadEnded, Removed, Snapshot,
};
use ostler_wire::inspection::{InspectionChange, InspectionState};
use ostler_wire::metrics::{Charts, Metrics};
use ostler_wire::web::{WebChange, WebState};
use serde_json::{Value, json};

const ABOUT: &str = "HTTP over the unix socket `ostler.sock` in Ostler's home directory (`~/.ostler`, or where `OSTLER_HOME` says). \
    Only the user whose home it is, and root, are answered. What is new in a version is added; what is there stays as it is \
    within `v1`, so take what you know and leave the rest.";

/// All of it.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Ostler's control API", "version": "1", "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{
            "url": "http://ostler", "description": "Any name: the connection is the unix socket.",
        }],
        "paths": {},
        "components": { "schemas": {} },
    });
    for endpoint in Endpoint::ALL {
        let method = endpoint.method().as_str().to_lowercase();
        document["paths"][endpoint.path()][method] = operation(endpoint, &mut schemas);
    }
    schemas.finish(&mut document);
    document
}

fn operation(endpoint: Endpoint, schemas: &mut Schemas) -> Value {
    let (id, summary) = words(endpoint);
    let mut parameters: Vec<Value> = endpoint.parameters().iter().map(parameter).collect();
    if endpoint == Endpoint::Events {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false, "schema": { "type": "string" },
            "description": "The `id` of the last event that was seen: the stream goes on after it, as long as it is known; else it says \
                `lost` and begins with a snapshot.",
        }));
    }
    let failed = json!({
        "description": "It failed: 400 what was asked makes no sense as things are, 404 nothing matches the selector, 500 a bug of Ostler's, \
            503 the system refused something.",
        "content": { "application/json": { "schema": schemas.answer::<ApiError>() } },
    });
    let mut operation = json!({
        "operationId": id, "summary": summary, "parameters": parameters,
        "responses": {
            "200": { "description": "It was done, or here it is.", "content": answer(endpoint, schemas) },
            "default": failed,
        },
    });
    if endpoint.method() == Method::Post {
        let body = match endpoint {
            Endpoint::Operations => schemas.request::<Operation>(),
            Endpoint::SetWeb => schemas.request::<WebChange>(),
            Endpoint::Inspect => schemas.request::<InspectionChange>(),
            _ => schemas.request::<Follow>(),
        };
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    operation
}

fn words(endpoint: Endpoint) -> (&'static str, &'static str) {
    match endpoint {
        Endpoint::Ping => ("ping", "Who answers"),
        Endpoint::Processes => ("processes", "The processes, as lists show them"),
        Endpoint::ProcessesFull => (
            "processesFull",
            "The processes with spec and environment; these may hold secrets",
        ),
        Endpoint::Reloads => ("reloads", "The reloads under way"),
        Endpoint::History => ("history", "Starts and stops with their causes, oldest first"),
        Endpoint::Metrics => (
            "metrics",
            "How workers are doing; asking has those of Node report every second for a while",
        ),
        Endpoint::Prometheus => ("prometheus", "The same, as Prometheus reads it"),
        Endpoint::Charts => ("charts", "How workers were doing in the last hour"),
        Endpoint::Events => ("events", "Changes of state as they happen, beginning with all there is"),
        Endpoint::Logs => ("logs", "Output of apps as it is written"),
        Endpoint::Operations => ("operate", "Change something; answered when it is done"),
        Endpoint::Follow => ("follow", "Output of apps as bytes"),
        Endpoint::Web => ("web", "How the web dashboard's port is open, with its token"),
        Endpoint::SetWeb => (
            "setWeb",
            "Open the web dashboard's port, change how it is open, or close it; answered as `GET` afterwards",
        ),
        Endpoint::Inspect => (
            "inspect",
            "Open the inspector of a worker of Node on 127.0.0.1, keep it open, or close it; whoever reaches an inspector can run any code",
        ),
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        ParameterKind::Text => json!({ "type": "string" }),
        ParameterKind::Flag => json!({ "type": "boolean" }),
        ParameterKind::Number(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
    };
    json!({
        "name": parameter.name, "in": "query", "required": false, "description": parameter.about, "schema": schema,
    })
}

fn answer(endpoint: Endpoint, schemas: &mut Schemas) -> Value {
    let schema = match endpoint {
        Endpoint::Ping => schemas.answer::<Pong>(),
        Endpoint::Processes => schemas.answer::<ProcessRows>(),
        Endpoint::ProcessesFull => schemas.answer::<Processes>(),
        Endpoint::Reloads => schemas.answer::<Reloads>(),
        Endpoint::History => schemas.answer::<History>(),
        Endpoint::Metrics => schemas.answer::<Metrics>(),
        Endpoint::Charts => schemas.answer::<Charts>(),
        Endpoint::Operations => schemas.answer::<Answer>(),
        Endpoint::Web | Endpoint::SetWeb => schemas.answer::<WebState>(),
        Endpoint::Inspect => schemas.answer::<InspectionState>(),
        Endpoint::Prometheus => return json!({ "text/plain": { "schema": { "type": "string" } } }),
        Endpoint::Events => return stream(&state_events(schemas)),
        Endpoint::Logs => return stream(&log_events(schemas)),
        Endpoint::Follow => {
            let header = schemas.answer::<FrameHeader>();
            return json!({ "application/octet-stream": {
                "schema": { "description": "Frames without end: a header as one line of JSON, then so many bytes as its `len` says." },
                "x-frame-header": header,
            } });
        }
    };
    json!({ "application/json": { "schema": schema } })
}

/// Server-sent events: an object for each, by its name.
fn stream(events: &[(&str, Value)]) -> Value {
    let of = |(name, data): &(&str, Value)| {
        json!({
            "type": "object", "required": ["event", "data"],
            "properties": { "event": { "const": name }, "id": { "type": "string" }, "data": data },
        })
    };
    let each: Vec<Value> = events.iter().map(of).collect();
    json!({ "text/event-stream": { "schema": {
        "description": "One of these after the other, without end. `data` is JSON in one line. Comments (lines that begin with a colon) come \
            when nothing else has for 15 s.",
        "oneOf": each,
    } } })
}

fn state_events(schemas: &mut Schemas) -> [(&'static str, Value); 7] {
    [
        ("snapshot", schemas.answer::<Snapshot>()),
        ("process", schemas.answer::<ProcessState>()),
        ("removed", schemas.answer::<Removed>()),
        ("history", schemas.answer::<Entry>()),
        ("reload", schemas.answer::<Reload>()),
        ("reload_ended", schemas.answer::<ReloadEnded>()),
        ("lost", schemas.answer::<Lost>()),
    ]
}

fn log_events(schemas: &mut Schemas) -> [(&'static str, Value); 5] {
    [
        ("begin", schemas.answer::<LogBegin>()),
        ("out", schemas.answer::<LogText>()),
        ("error", schemas.answer::<LogText>()),
        ("lagged", schemas.answer::<LogLagged>()),
        ("event", schemas.answer::<LogEvent>()),
    ]
}
