use crate::error::Result;
use crate::otlp::{self, Settings, Typed};
use crate::session::Session;
use clap::Args;

/// Send metrics to a collector of OpenTelemetry, until Ctrl-C
///
/// What workers use and what was counted for each app, as OTLP over HTTP in JSON. It reads what the daemon tells anybody; apps need no
/// package, and the daemon is not changed by it. What is not typed is taken from OpenTelemetry's variables. See docs/otlp.md.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  ostler otlp --once                    does a collector on this machine take them?
  ostler otlp --endpoint http://collector:4318 --every 15
  ostler start ostler --interpreter none --name otlp -- otlp
                                        keep it running, by Ostler itself

OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS and _TIMEOUT, OTEL_METRIC_EXPORT_INTERVAL and
OTEL_RESOURCE_ATTRIBUTES are heard, and those of metrics alone (OTEL_EXPORTER_OTLP_METRICS_…)
before them.")]
pub struct Otlp {
    /// Where the collector takes them; without a path, /v1/metrics [default: http://localhost:4318]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// A header to send; may be given several times. Other users of this machine can see it, unlike OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// How often [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub every: Option<u64>,
    /// Send once; exit code 0 if all of it was taken, else 1
    #[arg(long, conflicts_with = "every")]
    pub once: bool,
}

impl Otlp {
    pub async fn run(self, session: &Session) -> Result {
        let typed = Typed {
            endpoint: self.endpoint,
            headers: self.headers,
            every: self.every,
        };
        let settings = Settings::new(&typed, |name| session.variable(name))?;
        match self.once {
            true => otlp::once(session, settings).await,
            false => otlp::again_and_again(session, settings).await,
        }
    }
}
