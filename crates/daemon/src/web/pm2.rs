//! `GET /pm2.json`: the list and the machine in the shape of PM2's old web interface. What may be secret is hidden, and the machine's
//! network interfaces are left out: `interfaces` is empty.

use super::mask;
use ostler_config::pm2::jlist_entry;
use ostler_wire::control::Processes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The whole answer. Reads of `/proc`, so it is called off the deciding thread.
pub fn page(mut list: Processes, home: &Path, without_details: bool) -> Value {
    mask::processes(&mut list);
    let entries = list.processes.iter().map(|process| {
        let mut entry = jlist_entry(process, home);
        // By form, beside what was masked by meaning: what is new in the list is looked at, too.
        mask::any("", &mut entry);
        match without_details {
            true => plain(&entry),
            false => entry,
        }
    });
    let processes: Vec<Value> = entries.collect();
    json!({
        "system_info": { "hostname": hostname(), "uptime": rustix::system::sysinfo().uptime },
        "monit": machine(),
        "processes": processes,
    })
}

/// What tells how a process is, and nothing of what it was told. Where the port is for reading only.
fn plain(entry: &Value) -> Value {
    const SHOWN: [&str; 14] = [
        "name",
        "namespace",
        "version",
        "status",
        "pm_id",
        "pm_uptime",
        "created_at",
        "restart_time",
        "unstable_restarts",
        "exec_mode",
        "instances",
        "watch",
        "autorestart",
        "exit_code",
    ];
    let all = &entry["pm2_env"];
    let shown = SHOWN
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), all.get(name)?.clone())));
    let shown: Map<String, Value> = shown.collect();
    json!({
        "pid": entry["pid"], "name": entry["name"], "pm2_env": shown, "pm_id": entry["pm_id"], "monit": entry["monit"],
    })
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn machine() -> Value {
    let facts = rustix::system::sysinfo();
    let unit = u64::from(facts.mem_unit.max(1));
    // Fixed point with 16 bits behind it (sysinfo(2)); hundredths, as /proc/loadavg has them.
    let load = |value| (f64::from(u32::try_from(value).unwrap_or(u32::MAX)) / 655.36).round() / 100.0;
    json!({
        "loadavg": facts.loads.map(load),
        "total_mem": facts.totalram.saturating_mul(unit),
        "free_mem": available().unwrap_or(facts.freeram.saturating_mul(unit)),
        "cpu": processors(),
        "interfaces": {},
    })
}

/// What could be had without swapping (proc_meminfo(5), `MemAvailable`), bytes.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// As `os.cpus()` of Node has them: what each has done since boot, ms.
fn processors() -> Vec<Value> {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let (models, speeds) = (
        by_processor(&information, "model name"),
        by_processor(&information, "cpu MHz"),
    );
    times(&stat)
        .into_iter()
        .map(|(number, [user, nice, sys, idle, irq])| {
            let speed: f64 = speeds.get(&number).and_then(|speed| speed.parse().ok()).unwrap_or(0.0);
            json!({
                "model": models.get(&number).map_or("unknown", String::as_str),
                "speed": speed.round(),
                "times": { "user": user, "nice": nice, "sys": sys, "idle": idle, "irq": irq },
            })
        })
        .collect()
}

/// proc_stat(5): user, nice, system, idle, iowait, irq, in hundredths of a second.
fn times(stat: &str) -> Vec<(usize, [u64; 5])> {
    let lines = stat.lines().filter_map(|line| {
        let mut fields = line.strip_prefix("cpu")?.split(' ');
        let number = fields.next()?.parse().ok()?;
        let values: Vec<u64> = fields
            .filter_map(|field| field.parse().ok())
            .map(|ticks: u64| ticks * 10)
            .collect();
        let [user, nice, system, idle, _, irq, ..] = values[..] else {
            return None;
        };
        Some((number, [user, nice, system, idle, irq]))
    });
    lines.collect()
}

/// The values of a field of `/proc/cpuinfo`.
fn by_processor(information: &str, field: &str) -> BTreeMap<usize, String> {
    let mut number = 0;
    let mut found = BTreeMap::new();
    for (name, value) in information.lines().filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.trim(), value.trim());
        if name == "processor" {
            number = value.parse().unwrap_or(number);
        } else if name == field {
            found.insert(number, value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_as_the_kernel_writes_them() {
        let stat = "cpu  9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 0 0 0\ncpu1 10 20 30 40 50 60 0\nintr 5\n";
        assert_eq!(times(stat), [(0, [10, 20, 30, 40, 60]), (1, [100, 200, 300, 400, 600])]);
        let information =
            "processor\t: 0\nmodel name\t: One\ncpu MHz\t\t: 10.5\n\nprocessor\t: 1\nmodel name\t: Two: 2\n";
        let models = by_processor(information, "model name");
        assert_eq!(models.values().collect::<Vec<_>>(), ["One", "Two: 2"]);
        assert_eq!(by_processor(information, "cpu MHz").len(), 1);
    }

    #[test]
    fn this_machine_has_a_processor_and_memory() {
        let machine = machine();
        assert!(!machine["cpu"].as_array().expect("a list").is_empty());
        let memory = |name: &str| machine[name].as_u64().expect("a number");
        assert!(0 < memory("free_mem") && memory("free_mem") <= memory("total_mem"));
    }

    #[test]
    fn for_reading_only_nothing_is_left_of_what_an_app_was_told() {
        let entry = json!({
            "pid": 1, "name": "a", "pm_id": 0, "monit": {},
            "pm2_env": { "status": "online", "env": { "A": "b" }, "args": ["x"], "A": "b", "pm_exec_path": "/srv/a" },
        });
        assert_eq!(plain(&entry)["pm2_env"], json!({ "status": "online" }));
    }
}
