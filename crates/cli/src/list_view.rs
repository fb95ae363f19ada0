//! The list of processes as a table in three widths, as PM2 draws it, and its order. Pure.

use crate::error::{Error, Result};
use crate::printer::{BAD, FAINT, GOOD, HEADER, NEUTRAL, WARNING};
use crate::table::{self, Column};
use crate::units;
use anstyle::Style;
use ostler_core::{Mode, Status};
use ostler_wire::control::{ProcessRow, Usage};
use std::cmp::Ordering;
use std::fmt::Write as _;

/// What PM2 takes for the width when there is no terminal.
const WIDTH_UNKNOWN: usize = 300;

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Default.
    Name,
    /// The group.
    Namespace,
    /// The process id.
    Pid,
    /// The slot.
    Id,
    /// Processor use.
    Cpu,
    /// Memory.
    Memory,
    /// Time up.
    Uptime,
    /// The status word.
    Status,
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub field: Field,
    /// Largest first.
    pub descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            field: Field::Name,
            descending: false,
        }
    }
}

impl Order {
    /// Reads `field`, `field:asc` or `field:desc`.
    pub fn parse(typed: &str) -> Result<Self> {
        let (field, direction) = typed.split_once(':').unwrap_or((typed, "asc"));
        let field = match field {
            "name" => Some(Field::Name),
            "namespace" => Some(Field::Namespace),
            "pid" => Some(Field::Pid),
            "id" => Some(Field::Id),
            "cpu" => Some(Field::Cpu),
            "memory" => Some(Field::Memory),
            "uptime" => Some(Field::Uptime),
            "status" => Some(Field::Status),
            _unknown => None,
        };
        match (field, direction) {
            (Some(field), "asc") => Ok(Self {
                field,
                descending: false,
            }),
            (Some(field), "desc") => Ok(Self {
                field,
                descending: true,
            }),
            (Some(_) | None, _) => Err(Error::user(format!("--sort={typed} is no order"))
                .hint("name, namespace, pid, id, cpu, memory, uptime or status, then perhaps :asc or :desc")),
        }
    }

    /// Sorts; equals stay in order of their ids.
    pub fn sort(self, rows: &mut [ProcessRow]) {
        rows.sort_by(|a, b| {
            let order = self.compare(a, b);
            if self.descending {
                order.reverse().then(a.id.cmp(&b.id))
            } else {
                order.then(a.id.cmp(&b.id))
            }
        });
    }

    fn compare(self, a: &ProcessRow, b: &ProcessRow) -> Ordering {
        let usage = |row: &ProcessRow| row.usage.unwrap_or_default();
        match self.field {
            Field::Name => a.name.cmp(&b.name),
            Field::Namespace => a.namespace.cmp(&b.namespace),
            Field::Pid => a.pid.cmp(&b.pid),
            Field::Id => a.id.cmp(&b.id),
            Field::Cpu => usage(a).cpu.total_cmp(&usage(b).cpu),
            Field::Memory => usage(a).memory.cmp(&usage(b).memory),
            Field::Uptime => a.uptime_ms.cmp(&b.uptime_ms),
            Field::Status => a.status.as_str().cmp(b.status.as_str()),
        }
    }
}

/// The table that fits a terminal of `width` columns (unknown: the full one).
pub fn table(rows: &[ProcessRow], width: Option<usize>, colour: bool) -> String {
    let room = width.unwrap_or(WIDTH_UNKNOWN);
    let fits = |columns: &Columns| table::width(columns) <= room;
    let wider = [full, condensed].into_iter().map(|columns| columns(rows)).find(fits);
    let columns = wider.unwrap_or_else(|| mini(rows));
    table::draw(&columns, rows, colour)
}

/// PM2's `list -m`: a few lines a process.
pub fn mini_list(rows: &[ProcessRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let watching = if row.watching { "yes" } else { "no" };
        let _infallible = write!(
            text,
            "+--- {}\nnamespace : {}\nversion : {}\npid : {}\npm2 id : {}\nstatus : {}\nmode : {}\nrestarted : {}\n\
             uptime : {}\nmemory usage : {} \nwatching : {watching}\n\n",
            row.name,
            row.namespace,
            row.version.as_deref().unwrap_or("N/A"),
            row.pid.map_or(0, |pid| pid.0),
            row.id,
            row.status.as_str(),
            mode_word(row.mode),
            row.restarts,
            shown(uptime, row),
            shown(memory, row),
        );
    }
    text
}

/// What a column shows of a row, by itself.
fn shown(show: fn(&ProcessRow, &mut String) -> Style, row: &ProcessRow) -> String {
    let mut text = String::new();
    show(row, &mut text);
    text
}

type Columns = Vec<Column<ProcessRow>>;

fn full(rows: &[ProcessRow]) -> Columns {
    let longest = rows.iter().map(|row| table::measure(&row.name)).max().unwrap_or(0);
    vec![
        id_column(rows),
        column("name", (longest + 5).clamp(6, 40), |row, text| plain(text, &row.name)),
        column("namespace", 13, |row, text| plain(text, &row.namespace)),
        column("version", 9, |row, text| {
            plain(text, row.version.as_deref().unwrap_or("N/A"))
        }),
        column("mode", 9, mode),
        column("pid", 10, pid),
        column("uptime", 8, uptime),
        column("↺", 6, restarts),
        column("status", 11, status),
        column("cpu", 10, cpu),
        column("mem", 10, memory),
        column("user", 10, |row, text| plain(text, &row.user)),
        column("watching", 10, watching),
    ]
}

fn condensed(rows: &[ProcessRow]) -> Columns {
    vec![
        id_column(rows),
        column("name", 20, |row, text| plain(text, &row.name)),
        column("mode", 10, mode),
        column("↺", 6, restarts),
        column("status", 11, status),
        column("cpu", 10, cpu),
        column("memory", 10, memory),
    ]
}

fn mini(rows: &[ProcessRow]) -> Columns {
    vec![
        id_column(rows),
        column("name", 16, |row, text| plain(text, &row.name)),
        column("status", 11, status),
        column("cpu", 8, cpu),
        column("mem", 10, memory),
    ]
}

fn column(title: &'static str, width: usize, show: fn(&ProcessRow, &mut String) -> Style) -> Column<ProcessRow> {
    Column { title, width, show }
}

fn id_column(rows: &[ProcessRow]) -> Column<ProcessRow> {
    let largest = rows.iter().map(|row| row.id.0).max().unwrap_or(0);
    let digits = largest.checked_ilog10().unwrap_or(0) as usize + 1;
    column("id", (digits + 2).max(4), |row, text| {
        units::number(text, row.id.0.into());
        HEADER
    })
}

fn plain(text: &mut String, shown: &str) -> Style {
    styled(text, shown, Style::new())
}

fn styled(text: &mut String, shown: &str, style: Style) -> Style {
    text.push_str(shown);
    style
}

fn pid(row: &ProcessRow, text: &mut String) -> Style {
    units::number(text, row.pid.map_or(0, |pid| pid.0.unsigned_abs()).into());
    Style::new()
}

fn restarts(row: &ProcessRow, text: &mut String) -> Style {
    units::number(text, row.restarts.into());
    Style::new()
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Fork => "fork",
        Mode::Cluster => "cluster",
    }
}

fn mode(row: &ProcessRow, text: &mut String) -> Style {
    let style = match row.mode {
        Mode::Fork => Style::new().bold().invert(),
        Mode::Cluster => NEUTRAL.bold(),
    };
    styled(text, mode_word(row.mode), style)
}

fn status(row: &ProcessRow, text: &mut String) -> Style {
    match (row.status, row.health.healthy, row.health.ready) {
        (Status::Online, Some(false), _) => return styled(text, "unhealthy", BAD.bold()),
        (Status::Online, _, Some(false)) => return styled(text, "not ready", WARNING.bold()),
        _ => {}
    }
    let style = match row.status {
        Status::Online => GOOD.bold(),
        Status::Launching => NEUTRAL.bold(),
        Status::WaitingRestart | Status::Stopping => WARNING.bold(),
        Status::Stopped | Status::Errored => BAD.bold(),
    };
    styled(text, row.status.as_str(), style)
}

fn uptime(row: &ProcessRow, text: &mut String) -> Style {
    match row.status {
        Status::Online => units::write_uptime(text, row.uptime_ms),
        Status::Launching | Status::Stopping | Status::Stopped | Status::Errored | Status::WaitingRestart => {
            text.push('0');
        }
    }
    Style::new()
}

fn usage(row: &ProcessRow) -> Usage {
    row.usage.unwrap_or_default()
}

fn cpu(row: &ProcessRow, text: &mut String) -> Style {
    units::write_tenths(text, usage(row).cpu);
    text.push('%');
    Style::new()
}

fn memory(row: &ProcessRow, text: &mut String) -> Style {
    units::write_memory(text, usage(row).memory);
    Style::new()
}

fn watching(row: &ProcessRow, text: &mut String) -> Style {
    if row.watching {
        styled(text, "enabled", GOOD.bold())
    } else {
        styled(text, "disabled", FAINT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::{Pid, SlotId};

    fn row(id: u32, name: &str) -> ProcessRow {
        ProcessRow {
            id: SlotId(id),
            name: name.into(),
            namespace: "default".into(),
            version: Some("1.0.0".into()),
            mode: Mode::Fork,
            instance: 0,
            pid: Some(Pid(18300)),
            uptime_ms: 400,
            restarts: 0,
            status: Status::Online,
            connections: None,
            health: ostler_core::Health::default(),
            usage: Some(Usage {
                memory: 51_941_376,
                cpu: 0.0,
            }),
            user: "root".into(),
            watching: false,
        }
    }

    #[test]
    fn the_full_table_is_pm2s_to_the_character() {
        let expected = "\
┌────┬──────────┬─────────────┬─────────┬─────────┬──────────┬────────┬──────┬───────────┬──────────┬──────────┬──────────┬──────────┐
│ id │ name     │ namespace   │ version │ mode    │ pid      │ uptime │ ↺    │ status    │ cpu      │ mem      │ user     │ watching │
├────┼──────────┼─────────────┼─────────┼─────────┼──────────┼────────┼──────┼───────────┼──────────┼──────────┼──────────┼──────────┤
│ 0  │ forky    │ default     │ 1.0.0   │ fork    │ 18300    │ 0s     │ 0    │ online    │ 0%       │ 49.5mb   │ root     │ disabled │
└────┴──────────┴─────────────┴─────────┴─────────┴──────────┴────────┴──────┴───────────┴──────────┴──────────┴──────────┴──────────┘
";
        assert_eq!(table(&[row(0, "forky")], None, false), expected);
    }

    #[test]
    fn a_narrow_terminal_gets_the_condensed_and_then_the_mini_table() {
        let mut waiting = row(3, "some-very-long-name-that-goes-on-and-on");
        waiting.status = Status::WaitingRestart;
        waiting.usage = None;
        let condensed = "\
┌────┬────────────────────┬──────────┬──────┬───────────┬──────────┬──────────┐
│ id │ name               │ mode     │ ↺    │ status    │ cpu      │ memory   │
├────┼────────────────────┼──────────┼──────┼───────────┼──────────┼──────────┤
│ 3  │ some-very-long-na… │ fork     │ 0    │ waiting … │ 0%       │ 0b       │
└────┴────────────────────┴──────────┴──────┴───────────┴──────────┴──────────┘
";
        let mini = "\
┌────┬────────────────┬───────────┬────────┬──────────┐
│ id │ name           │ status    │ cpu    │ mem      │
├────┼────────────────┼───────────┼────────┼──────────┤
│ 3  │ some-very-lon… │ waiting … │ 0%     │ 0b       │
└────┴────────────────┴───────────┴────────┴──────────┘
";
        let rows = [waiting];
        assert_eq!(table(&rows, Some(80), false), condensed);
        assert_eq!(table(&rows, Some(79), false), condensed);
        assert_eq!(table(&rows, Some(78), false), mini);
        assert_eq!(table(&rows, Some(20), false), mini);
    }

    #[test]
    fn who_is_online_and_not_well_is_shown_so() {
        let mut unwell = row(0, "api");
        unwell.health.healthy = Some(false);
        let mut waits = row(1, "api");
        waits.health.ready = Some(false);
        let mut down = row(2, "api");
        down.status = Status::Stopped;
        let text = table(&[unwell, waits, down], None, false);
        for word in ["unhealthy", "not ready", "stopped"] {
            assert_eq!(text.matches(word).count(), 1, "{text}");
        }
    }

    #[test]
    fn an_empty_list_still_has_its_titles() {
        let text = table(&[], None, false);
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains("│ id │ name │ namespace"), "{text}");
    }

    #[test]
    fn orders_are_read_and_kept_stable() {
        let mut rows = [row(0, "b"), row(1, "a"), row(2, "b")];
        Order::default().sort(&mut rows);
        assert_eq!(rows.each_ref().map(|row| row.id.0), [1, 0, 2]);
        Order::parse("name:desc").expect("an order").sort(&mut rows);
        assert_eq!(rows.each_ref().map(|row| row.id.0), [0, 2, 1]);
        assert!(Order::parse("size").is_err());
        assert!(Order::parse("name:up").is_err());
    }

    #[test]
    fn the_mini_list_has_a_blank_line_after_each_process() {
        let text = mini_list(&[row(0, "forky")]);
        assert!(text.starts_with("+--- forky\nnamespace : default\n"), "{text}");
        assert!(text.ends_with("watching : no\n\n"), "{text}");
    }
}
