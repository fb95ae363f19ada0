//! What apps have registered with prom-client: added up over workers, and never less, whatever becomes of them.

use ostler_testkit::{Home, Manager, Visitor, free_port, process, tools};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const PACKAGE: &str = "prom-client@15.1.3";
const ENTRY: &str = "node_modules/prom-client/index.js";

const SHOP: &str = "const client = require(process.env.PROM_CLIENT);
const sold = new client.Counter({ name: 'sold_total', help: 'Sold.', labelNames: ['kind'] });
const open = new client.Gauge({ name: 'tills_open', help: 'Open tills.' });
const took = new client.Histogram({ name: 'took_seconds', help: 'How long it took.', buckets: [0.1, 1] });
open.set(1);
require('http').createServer((request, response) => {
  sold.inc({ kind: 'cake' });
  took.observe(0.1 + 0.2 * (process.pid % 3));
  response.end('sold');
}).listen(process.env.PORT, '127.0.0.1');";

/// A shop in that many workers, or none on a machine without the package.
fn open_shop(test: &str, more: Value) -> Option<(Home, u16)> {
    open_shop_of(test, PACKAGE, ("shop.js", SHOP), more)
}

fn open_shop_of(test: &str, package: &str, (name, script): (&str, &str), more: Value) -> Option<(Home, u16)> {
    let client = match tools::npm(package, ENTRY) {
        Ok(client) => client,
        Err(reason) => {
            ostler_testkit::skip(test, &reason);
            return None;
        }
    };
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let port = free_port();
    let mut app = json!({
        "name": "shop", "script": home.script(name, script), "prom_client": true,
        "env": { "PORT": port, "PROM_CLIENT": client },
    });
    if let (Value::Object(app), Value::Object(more)) = (&mut app, more) {
        app.extend(more);
    }
    home.start(json!([app]));
    home.wait_until("an answer", || Visitor::at(port).is_ok());
    Some((home, port))
}

/// The value of what `/metrics` has, name and labels as it writes them.
fn scraped(home: &Home, wanted: &str) -> Option<f64> {
    let page = home.control_text("/metrics").ok()?;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(wanted)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

const SOLD: &str = "sold_total{app=\"shop\",namespace=\"default\",kind=\"cake\"}";
const TOOK: &str = "took_seconds_count{app=\"shop\",namespace=\"default\"}";
const SUM: &str = "took_seconds_sum{app=\"shop\",namespace=\"default\"}";
const OPEN: &str = "tills_open{app=\"shop\",namespace=\"default\"}";

/// Buys until told not to, over a connection each time.
fn buy(port: u16, enough: &AtomicBool, bought: &AtomicU64) {
    while !enough.load(Ordering::Relaxed) {
        let mut visitor = Visitor::at(port).expect("connected");
        visitor.get("/").expect("an answer");
        bought.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reloads while there is trade and Prometheus reads; both never less than before.
fn reload_under_trade(home: &Home, port: u16, bought: &AtomicU64) {
    let (enough, reloaded) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| buy(port, &enough, bought));
        scope.spawn(|| {
            home.ok(&["reload", "shop"]);
            reloaded.store(true, Ordering::Relaxed);
        });
        let mut last = (0.0, 0.0);
        while !reloaded.load(Ordering::Relaxed) {
            let now = (scraped(home, SOLD).unwrap_or(0.0), scraped(home, SUM).unwrap_or(0.0));
            assert!(now.0 >= last.0 && now.1 >= last.1, "{last:?} {now:?}");
            last = now;
        }
        enough.store(true, Ordering::Relaxed);
    });
}

#[test]
fn counters_of_four_workers_are_added_up_and_only_grow_over_reloads_and_new_daemons() {
    let name = "counters_of_four_workers_are_added_up_and_only_grow_over_reloads_and_new_daemons";
    let Some((home, port)) = open_shop(name, json!({ "exec_mode": "cluster", "instances": 4 })) else {
        return;
    };
    let bought = AtomicU64::new(0);
    for _ in 0..3 {
        reload_under_trade(&home, port, &bought);
        let all = bought.load(Ordering::Relaxed) as f64;
        assert_eq!(scraped(&home, SOLD), Some(all), "each sale once");
        assert_eq!(scraped(&home, TOOK), Some(all));
        assert_eq!(scraped(&home, OPEN), Some(4.0), "of those that are open");
    }
    let (all, sum) = (scraped(&home, SOLD), scraped(&home, SUM));
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    assert_eq!((scraped(&home, SOLD), scraped(&home, SUM)), (all, sum));
    for pid in home.pids("shop") {
        process::kill(pid);
    }
    home.wait_until("successors", || scraped(&home, OPEN) == Some(4.0));
    assert_eq!(scraped(&home, SOLD), all, "what was told before they were killed");
    home.ok(&["delete", "shop"]);
    assert_eq!(scraped(&home, SOLD), None);
}

#[test]
fn an_app_in_fork_mode_is_asked_and_one_that_does_not_want_it_is_not() {
    let name = "an_app_in_fork_mode_is_asked_and_one_that_does_not_want_it_is_not";
    let Some((home, port)) = open_shop(name, json!({})) else {
        return;
    };
    Visitor::at(port).expect("connected").get("/").expect("an answer");
    home.wait_until("the sale", || scraped(&home, SOLD) == Some(1.0));
    drop(home);
    let Some((home, port)) = open_shop(name, json!({ "prom_client": false })) else {
        return;
    };
    Visitor::at(port).expect("connected").get("/").expect("an answer");
    home.wait_until("a report", || {
        let requests = "ostler_http_requests_total{app=\"shop\",namespace=\"default\",class=\"2xx\"}";
        scraped(&home, requests) == Some(1.0)
    });
    assert_eq!(scraped(&home, SOLD), None);
}

#[test]
fn earlier_versions_are_understood_and_modules_may_import_it() {
    let name = "earlier_versions_are_understood_and_modules_may_import_it";
    let module = SHOP.replace(
        "require(process.env.PROM_CLIENT)",
        "(await import(process.env.PROM_CLIENT)).default",
    );
    let module = module.replace("require('http')", "(await import('http'))");
    let shops = [
        ("prom-client@12.0.0", ("shop.js", SHOP)),
        ("prom-client@13.2.0", ("shop.js", SHOP)),
        ("prom-client@14.2.0", ("shop.js", SHOP)),
        (PACKAGE, ("shop.mjs", module.as_str())),
    ];
    for (package, script) in shops {
        let workers = json!({ "exec_mode": "cluster", "instances": 2 });
        let Some((home, port)) = open_shop_of(name, package, script, workers) else {
            return;
        };
        for _ in 0..4 {
            Visitor::at(port).expect("connected").get("/").expect("an answer");
        }
        home.wait_until("the sales", || scraped(&home, SOLD) == Some(4.0));
        assert_eq!(
            (scraped(&home, TOOK), scraped(&home, OPEN)),
            (Some(4.0), Some(2.0)),
            "{package}"
        );
    }
}
