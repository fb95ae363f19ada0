//! What these tests have in common: an app that serves, the command, and what is in what was sent.

use crate::collector::Collector;
use ostler_testkit::{Home, Invocation, Manager, Visitor, free_port};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SHOP: &str = "
process.send && process.send({ type: 'axm:monitor', data: { 'cups sold': { value: 3, unit: 'cups', type: 'sold' } } });
require('http').createServer((request, response) => {
  response.statusCode = request.url === '/missing' ? 404 : 200;
  response.end('ok');
}).listen(process.env.PORT, '127.0.0.1');";

pub fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// The app `shop` in two workers, answering on a port.
pub fn open_shop(home: &Home) -> u16 {
    let port = free_port();
    home.start(json!([{
        "name": "shop", "namespace": "tea", "script": home.script("shop.js", SHOP), "env": { "PORT": port },
        "exec_mode": "cluster", "instances": 2,
    }]));
    port
}

/// So many requests, each over a connection of its own.
pub fn ask(port: u16, path: &str, times: usize) {
    for _ in 0..times {
        let mut visitor = Visitor::at(port).expect("connected");
        // What it is answered is counted there; that it is answered is all we want to know.
        drop(visitor.get(path));
    }
}

/// The command, sending to a collector.
pub fn otlp(home: &Home, collector: &Collector, words: &[&str]) -> Invocation {
    let call = home.call(&[&["otlp"], words].concat());
    call.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
}

/// The same five times a second.
pub fn quickly(home: &Home, collector: &Collector) -> Invocation {
    otlp(home, collector, &[]).env("OTEL_METRIC_EXPORT_INTERVAL", "200")
}

/// What was measured of one thing at one time.
#[derive(Clone, Debug)]
pub struct Resource {
    pub attributes: BTreeMap<String, String>,
    pub metrics: Vec<Value>,
}

impl Resource {
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub fn metric(&self, name: &str) -> Option<&Value> {
        self.metrics.iter().find(|metric| metric["name"] == name)
    }

    /// The points of a metric, of whatever kind it is; none if there is no such metric.
    pub fn points(&self, name: &str) -> Vec<Value> {
        let kinds = ["gauge", "sum", "histogram"];
        let data = self
            .metric(name)
            .and_then(|metric| kinds.iter().find_map(|kind| metric.get(kind)));
        data.and_then(|data| data["dataPoints"].as_array())
            .cloned()
            .unwrap_or_default()
    }

    /// The number of a metric with one point.
    pub fn number(&self, name: &str) -> Option<f64> {
        let points = self.points(name);
        assert!(points.len() < 2, "{name}: {points:?}");
        number(points.first()?)
    }
}

/// The number that a point has.
pub fn number(point: &Value) -> Option<f64> {
    point["asDouble"].as_f64().or_else(|| point["asInt"].as_f64())
}

/// A number of 64 bits, which stands there as text if it is long.
pub fn whole(value: &Value) -> u64 {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.unwrap_or_else(|| panic!("a number: {value}"))
}

/// All resources of a request.
pub fn resources(request: &Value) -> Vec<Resource> {
    let resources = request["resourceMetrics"].as_array().expect("a list");
    resources.iter().map(resource).collect()
}

fn resource(resource: &Value) -> Resource {
    let attributes = resource["resource"]["attributes"].as_array().expect("a list").iter();
    let attributes = attributes.map(|attribute| {
        let value = &attribute["value"];
        let text = value["stringValue"].as_str().map(str::to_owned);
        (
            attribute["key"].as_str().expect("a key").to_owned(),
            text.unwrap_or_else(|| whole(&value["intValue"]).to_string()),
        )
    });
    let scopes = resource["scopeMetrics"].as_array().expect("a list");
    assert_eq!((scopes.len(), &scopes[0]["scope"]["name"]), (1, &json!("ostler")));
    Resource {
        attributes: attributes.collect(),
        metrics: scopes[0]["metrics"].as_array().expect("a list").clone(),
    }
}

/// The workers of an app, and the app as a whole.
pub fn of_app(request: &Value, name: &str) -> (Vec<Resource>, Option<Resource>) {
    let of_it = resources(request)
        .into_iter()
        .filter(|resource| resource.attribute("service.name") == name);
    let (workers, mut apps): (Vec<_>, Vec<_>) =
        of_it.partition(|resource| resource.metric("ostler.worker.status").is_some());
    assert!(apps.len() < 2, "{apps:?}");
    (workers, apps.pop())
}

/// How many answers were counted for an app, by a request.
pub fn answers(request: &Value, name: &str) -> Option<u64> {
    let (_, app) = of_app(request, name);
    let points = app?.points("http.server.request.duration");
    Some(whole(&points.first()?["count"]))
}

/// Waits until a collector was told that so many answers were counted for the shop.
pub fn until_told(home: &Home, collector: &Collector, count: u64) {
    home.wait_until(&format!("{count} answers to be told of"), || {
        let sent = collector.sent();
        sent.last().and_then(|sent| answers(&sent.json(), "shop")) == Some(count)
    });
}
