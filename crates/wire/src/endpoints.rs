//! What can be called: the one list that the daemon's router goes by, and that `docs/openapi.json` is compared with.

/// How it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Changes nothing.
    Get,
    /// Has a body.
    Post,
}

impl Method {
    /// As HTTP has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Who are you?
    Ping,
    /// The list.
    Processes,
    /// The list with everything.
    ProcessesFull,
    /// Reloads under way.
    Reloads,
    /// Starts and stops with their causes.
    History,
    /// How workers are doing.
    Metrics,
    /// The same, for Prometheus.
    Prometheus,
    /// How they were doing in the last hour.
    Charts,
    /// Changes of state, as they happen.
    Events,
    /// Output, as it is written.
    Logs,
    /// Change something.
    Operations,
    /// Output as bytes.
    Follow,
    /// How the web dashboard's port is open.
    Web,
    /// Open that port, change it or close it.
    SetWeb,
    /// Open a worker's inspector, keep it open, or close it.
    Inspect,
}

/// What a call is to whoever comes through the web dashboard's port, whatever he has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverPort {
    /// Not to be had there: it needs the trust that the control socket has, which answers its owner only.
    Closed,
    /// Changes nothing, and shows nothing that is secret.
    Shown,
    /// Changes nothing. What it shows is masked, and not shown at all where the port is for reading only.
    Masked,
    /// Changes something: some actions only ([`Action::over_port`](crate::control::Action::over_port)), and none where the port is for
    /// reading only.
    Changes,
}

/// What a query may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ParameterKind,
    /// What it is for.
    pub about: &'static str,
}

/// What the value of a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text, percent-encoded.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number, at most so large.
    Number(u32),
}

/// The most lines of before that a stream of logs begins with, for each log file.
pub const MAX_TAIL: u32 = 1000;

const SELECTOR: Parameter = Parameter {
    name: "selector",
    kind: ParameterKind::Text,
    about: "Whose: `all`, an id, a name, a namespace, `/a regular expression/` on names, or a script's path. All when absent.",
};

const METRICS: [Parameter; 2] = [
    SELECTOR,
    Parameter {
        name: "footprint",
        kind: ParameterKind::Flag,
        about: "Also what each process tree costs the machine: processes, threads, open descriptors, memory by share, which takes some milliseconds a gigabyte; \
                false when absent.",
    },
];

const LOGS: [Parameter; 5] = [
    SELECTOR,
    Parameter {
        name: "out",
        kind: ParameterKind::Flag,
        about: "Standard output; true when absent.",
    },
    Parameter {
        name: "error",
        kind: ParameterKind::Flag,
        about: "Standard error; true when absent.",
    },
    Parameter {
        name: "events",
        kind: ParameterKind::Flag,
        about: "Starts, exits and the like too, in PM2's words; false when absent.",
    },
    Parameter {
        name: "tail",
        kind: ParameterKind::Number(MAX_TAIL),
        about: "How many lines of before to begin with, of each log file; none when absent.",
    },
];

impl Endpoint {
    /// All there are.
    pub const ALL: [Self; 15] = [
        Self::Ping,
        Self::Processes,
        Self::ProcessesFull,
        Self::Reloads,
        Self::History,
        Self::Metrics,
        Self::Prometheus,
        Self::Charts,
        Self::Events,
        Self::Logs,
        Self::Operations,
        Self::Follow,
        Self::Web,
        Self::SetWeb,
        Self::Inspect,
    ];

    /// What a request means.
    pub fn find(method: &str, path: &str) -> Option<Self> {
        let means = |endpoint: &Self| endpoint.path() == path && endpoint.method().as_str() == method;
        Self::ALL.into_iter().find(means)
    }

    /// How it is called.
    pub fn method(self) -> Method {
        match self {
            Self::Operations | Self::Follow | Self::SetWeb | Self::Inspect => Method::Post,
            Self::Ping
            | Self::Processes
            | Self::ProcessesFull
            | Self::Reloads
            | Self::History
            | Self::Metrics
            | Self::Prometheus
            | Self::Charts
            | Self::Events
            | Self::Logs
            | Self::Web => Method::Get,
        }
    }

    /// Where.
    pub fn path(self) -> &'static str {
        match self {
            Self::Ping => "/v1/ping",
            Self::Processes => "/v1/processes",
            Self::ProcessesFull => "/v1/processes/full",
            Self::Reloads => "/v1/reloads",
            Self::History => "/v1/history",
            Self::Metrics => "/v1/metrics",
            Self::Prometheus => "/metrics",
            Self::Charts => "/v1/charts",
            Self::Events => "/v1/events",
            Self::Logs => "/v1/logs",
            Self::Operations => "/v1/operations",
            Self::Follow => "/v1/follow",
            Self::Web | Self::SetWeb => "/v1/web",
            Self::Inspect => "/v1/inspection",
        }
    }

    /// What its query may say.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::History | Self::Charts => &LOGS[..1],
            Self::Logs => &LOGS,
            Self::Metrics => &METRICS,
            Self::Ping
            | Self::Processes
            | Self::ProcessesFull
            | Self::Reloads
            | Self::Prometheus
            | Self::Events
            | Self::Operations
            | Self::Follow
            | Self::Web
            | Self::SetWeb
            | Self::Inspect => &[],
        }
    }

    /// What it is at the web dashboard's port. No wildcard: what is new stays closed until somebody has thought of it here.
    pub fn over_port(self) -> OverPort {
        match self {
            Self::Ping
            | Self::Processes
            | Self::Reloads
            | Self::History
            | Self::Metrics
            | Self::Prometheus
            | Self::Charts
            | Self::Events
            | Self::Logs => OverPort::Shown,
            Self::ProcessesFull => OverPort::Masked,
            Self::Operations => OverPort::Changes,
            // Logs say the same as text. The port is its owner's to open, and has the token. An inspector runs any code.
            Self::Follow | Self::Web | Self::SetWeb | Self::Inspect => OverPort::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_what_it_is_called() {
        for endpoint in Endpoint::ALL {
            assert_eq!(
                Endpoint::find(endpoint.method().as_str(), endpoint.path()),
                Some(endpoint)
            );
        }
        assert_eq!(Endpoint::find("DELETE", "/v1/ping"), None);
        assert_eq!(Endpoint::find("GET", "/v1/ping/"), None);
    }
}
